// A tensor as a file holds it: row-major elements that are read where they lie, or elements that
// must be copied first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/tensor.h"

namespace inkstone {

enum class Float8 { kNone, kE4M3, kE5M2 };

// What keeps a tensor from being read where it lies.
struct StoredForm {
  // Its elements have one byte. All values of both types are fp16 values.
  Float8 float8 = Float8::kNone;
  // How many elements further each axis' next index lies. Empty: row-major.
  Shape strides;

  bool is_plain() const { return float8 == Float8::kNone && strides.empty(); }
};

// borrowed from the mapped file; may be unaligned
struct WeightView {
  std::string name;  // as the file writes it
  Shape shape;
  DType type = DType::kF32;  // F32, F16 or BF16: in which its values are read
  // From its first element to its last, with all that lies between.
  std::span<const std::byte> bytes;
  StoredForm form = {};
};

size_t stored_element_bytes(const WeightView& view);

// How many elements lie from the first to the last of a tensor with sizes and strides that are not
// negative; none if the number overflows. 0 where a size is 0.
std::optional<uint64_t> spanned_elements(const Shape& shape, const Shape& strides);
bool is_row_major(const Shape& shape, const Shape& strides);

// One of `parts` equal parts of its rows. The whole where there is no such part.
WeightView rows_of(WeightView whole, int part, int parts);
// [columns, rows] of a matrix. Anything else stays as it is.
WeightView transposed(WeightView matrix);

// Writes the values as row-major elements of view.type; `to` has room for them.
void copy_elements(const WeightView& view, std::byte* to);

}  // namespace inkstone
