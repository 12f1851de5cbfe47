// Shapes and tensors. A Tensor owns its elements, row-major, aligned to 64 bytes: in the host's
// memory, or in that of a device, which only its backend reads and writes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace inkstone {

using Shape = std::vector<int64_t>;

// The number of elements in a shape, and of their bytes. Throws Error if a size is negative or the
// product overflows.
int64_t count(const Shape& shape);
size_t bytes(const Shape& shape, DType type);
std::string to_string(const Shape& shape);  // "[2, 4, 64, 64]"

// Owns memory that is not on the host's heap, and outlives it.
class MemoryOwner {
 public:
  virtual ~MemoryOwner() = default;
  virtual void free(void* memory) noexcept = 0;
};

// Memory of allocate(), or of an owner, which frees it.
struct FreeMemory {
  MemoryOwner* owner = nullptr;
  void operator()(void* memory) const;
};
using Memory = std::unique_ptr<std::byte[], FreeMemory>;
// Both throw Error with the size if the machine refuses.
Memory allocate(size_t bytes);  // zeroed, 64-byte aligned
// Not written yet; `alignment` is a power of two of at least 64.
Memory allocate_aligned(size_t bytes, size_t alignment);

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape, DType type = DType::kF32);
  Tensor(Shape shape, DType type, Memory device_memory);  // of a device
  static Tensor of(Shape shape, std::span<const float> values);
  static Tensor of_ints(Shape shape, std::span<const int32_t> values);

  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis < 0 ? axis + shape_.size() : axis]; }
  DType type() const { return type_; }
  int64_t size() const { return size_; }  // elements
  size_t bytes() const { return static_cast<size_t>(size_) * size_of(type_); }
  bool on_device() const { return memory_.get_deleter().owner != nullptr; }
  std::byte* data() { return memory_.get(); }  // on a device: an address there
  const std::byte* data() const { return memory_.get(); }
  // They throw if the type is another, or the tensor is on a device.
  std::span<float> floats();
  std::span<const float> floats() const;
  std::span<int32_t> ints();
  std::span<const int32_t> ints() const;
  Tensor clone() const;

 private:
  Shape shape_;
  DType type_ = DType::kF32;
  int64_t size_ = 0;
  Memory memory_;
};

}  // namespace inkstone
