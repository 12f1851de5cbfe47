#include "weights/weight_view.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/parallel.h"

namespace inkstone {
namespace {

constexpr int64_t kCopyGrain = int64_t{1} << 16;  // elements for one thread at least

// E4M3: sign, 4 bits of exponent with bias 7, 3 of fraction; no infinities, and NaN is S.1111.111
// (OCP 8-bit floating point, table 1). fp16 has the bias 15, so a subnormal here is normal there.
constexpr uint16_t f16_of_e4m3(uint8_t bits) {
  const int sign = (bits & 0x80) << 8, magnitude = bits & 0x7f;
  if (magnitude == 0x7f) return static_cast<uint16_t>(sign | 0x7e00);
  int exponent = magnitude >> 3, fraction = magnitude & 7;
  if (exponent == 0) {
    if (fraction == 0) return static_cast<uint16_t>(sign);
    for (exponent = 1; !(fraction & 8); --exponent) fraction <<= 1;
    fraction &= 7;
  }
  return static_cast<uint16_t>(sign | (exponent + 15 - 7) << 10 | fraction << 7);
}

// E5M2 is the upper half of fp16.
constexpr uint16_t f16_of_e5m2(uint8_t bits) { return static_cast<uint16_t>(bits << 8); }

constexpr std::array<uint16_t, 256> f16_table(uint16_t (*f16_of)(uint8_t)) {
  std::array<uint16_t, 256> table{};
  for (size_t bits = 0; bits < 256; ++bits) table[bits] = f16_of(static_cast<uint8_t>(bits));
  return table;
}
constexpr std::array<uint16_t, 256> kF16OfE4M3 = f16_table(f16_of_e4m3), kF16OfE5M2 = f16_table(f16_of_e5m2);

void widen(Float8 type, std::span<const std::byte> from, std::byte* to) {
  const std::array<uint16_t, 256>& table = type == Float8::kE4M3 ? kF16OfE4M3 : kF16OfE5M2;
  parallel_for(static_cast<int64_t>(from.size()), kCopyGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint16_t half = table[static_cast<uint8_t>(from[static_cast<size_t>(i)])];
      std::memcpy(to + 2 * i, &half, sizeof half);
    }
  });
}

// Where in the file row `row` begins, in elements; rows are counted through all axes but the last.
int64_t start_of_row(int64_t row, const Shape& shape, const Shape& strides) {
  int64_t at = 0;
  for (size_t axis = shape.size() - 1; axis-- > 0;) {
    at += row % shape[axis] * strides[axis];
    row /= shape[axis];
  }
  return at;
}

template <size_t kBytes>
void gather(const WeightView& view, std::byte* to) {
  const int64_t elements = count(view.shape);
  if (elements == 0) return;
  const int64_t length = view.shape.back(), stride = view.form.strides.back() * static_cast<int64_t>(kBytes);
  parallel_for(elements / length, std::max<int64_t>(1, kCopyGrain / length), [&](int64_t begin, int64_t end) {
    std::byte* out = to + begin * length * static_cast<int64_t>(kBytes);
    for (int64_t row = begin; row < end; ++row) {
      const std::byte* from =
          view.bytes.data() + start_of_row(row, view.shape, view.form.strides) * static_cast<int64_t>(kBytes);
      for (int64_t i = 0; i < length; ++i, from += stride, out += kBytes) std::memcpy(out, from, kBytes);
    }
  });
}

Shape row_major_strides(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

}  // namespace

size_t stored_element_bytes(const WeightView& view) {
  return view.form.float8 == Float8::kNone ? size_of(view.type) : 1;
}

std::optional<uint64_t> spanned_elements(const Shape& shape, const Shape& strides) {
  if (std::ranges::find(shape, 0) != shape.end()) return 0;
  uint64_t last = 0, far = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const auto steps = static_cast<uint64_t>(shape[axis] - 1), stride = static_cast<uint64_t>(strides[axis]);
    if (__builtin_mul_overflow(steps, stride, &far) || __builtin_add_overflow(last, far, &last)) return {};
  }
  return last == UINT64_MAX ? std::optional<uint64_t>() : last + 1;
}

bool is_row_major(const Shape& shape, const Shape& strides) {
  if (std::ranges::find(shape, 0) != shape.end()) return true;
  int64_t wanted = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (strides[axis] != wanted || __builtin_mul_overflow(wanted, shape[axis], &wanted)) return false;
  }
  return true;
}

WeightView rows_of(WeightView whole, int part, int parts) {
  if (parts == 1 || whole.shape.empty() || whole.shape[0] % parts) return whole;
  whole.shape[0] /= parts;
  if (whole.bytes.empty()) return whole;
  const Shape strides = whole.form.strides.empty() ? row_major_strides(whole.shape) : whole.form.strides;
  const auto begin = static_cast<size_t>(part * whole.shape[0] * strides[0]);
  const size_t element = stored_element_bytes(whole), elements = spanned_elements(whole.shape, strides).value_or(0);
  whole.bytes = whole.bytes.subspan(begin * element, elements * element);
  return whole;
}

WeightView transposed(WeightView matrix) {
  if (matrix.shape.size() != 2) return matrix;
  if (matrix.form.strides.empty()) matrix.form.strides = row_major_strides(matrix.shape);
  std::swap(matrix.shape[0], matrix.shape[1]);
  std::swap(matrix.form.strides[0], matrix.form.strides[1]);
  if (is_row_major(matrix.shape, matrix.form.strides)) matrix.form.strides.clear();
  return matrix;
}

void copy_elements(const WeightView& view, std::byte* to) {
  const size_t elements = static_cast<size_t>(count(view.shape)), element = stored_element_bytes(view);
  std::span<const std::byte> from = view.bytes;
  Memory gathered;
  if (!view.form.strides.empty()) {
    std::byte* out = to;
    if (view.form.float8 != Float8::kNone) {
      gathered = allocate(elements);
      out = gathered.get();
    }
    element == 1 ? gather<1>(view, out) : element == 2 ? gather<2>(view, out) : gather<4>(view, out);
    from = {out, elements * element};
  }
  if (view.form.float8 != Float8::kNone)
    widen(view.form.float8, from, to);
  else if (view.form.strides.empty())
    std::ranges::copy(from, to);
}

}  // namespace inkstone
