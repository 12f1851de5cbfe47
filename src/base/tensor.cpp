#include "base/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace inkstone {

int64_t count(const Shape& shape) {
  int64_t total = 1;
  for (int64_t size : shape) {
    INKSTONE_CHECK(size >= 0, "shape ", to_string(shape), " has a negative size");
    INKSTONE_CHECK(!__builtin_mul_overflow(total, size, &total), "shape ", to_string(shape), " has too many elements");
  }
  return total;
}

size_t bytes(const Shape& shape, DType type) {
  size_t total = 0;
  INKSTONE_CHECK(!__builtin_mul_overflow(static_cast<size_t>(count(shape)), size_of(type), &total), "shape ",
                 to_string(shape), " has too many bytes");
  return total;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// Before the memory stands how far malloc()'s address is. glibc's aligned_alloc() leaves splinters
// that no later call can use: a program that draws for days would grow.
void FreeMemory::operator()(void* memory) const {
  if (owner) return owner->free(memory);
  if (!memory) return;
  size_t offset = 0;
  std::memcpy(&offset, static_cast<std::byte*>(memory) - sizeof offset, sizeof offset);
  std::free(static_cast<std::byte*>(memory) - offset);
}

Memory allocate_aligned(size_t bytes, size_t alignment) {
  INKSTONE_CHECK(bytes < SIZE_MAX - alignment, "cannot allocate ", bytes, " bytes");
  auto* const begin = static_cast<std::byte*>(std::malloc(bytes + alignment));
  INKSTONE_CHECK(begin, "out of memory: the machine refused ", bytes,
                 " bytes; a smaller size or --memory-budget needs less");
  // At least 16, because malloc() aligns to 16.
  const size_t offset = alignment - reinterpret_cast<uintptr_t>(begin) % alignment;
  std::byte* const memory = begin + offset;
  std::memcpy(memory - sizeof offset, &offset, sizeof offset);
  return Memory(memory);
}

Memory allocate(size_t bytes) {
  constexpr size_t kAlignment = 64;
  INKSTONE_CHECK(bytes < SIZE_MAX - 2 * kAlignment, "cannot allocate ", bytes, " bytes");
  const size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  Memory memory = allocate_aligned(rounded, kAlignment);
  std::memset(memory.get(), 0, rounded);
  return memory;
}

Tensor::Tensor(Shape shape, DType type)
    : shape_(std::move(shape)), type_(type), size_(count(shape_)), memory_(allocate(inkstone::bytes(shape_, type))) {}

Tensor::Tensor(Shape shape, DType type, Memory device_memory)
    : shape_(std::move(shape)), type_(type), size_(count(shape_)), memory_(std::move(device_memory)) {}

Tensor Tensor::of(Shape shape, std::span<const float> values) {
  Tensor tensor(std::move(shape));
  INKSTONE_CHECK(values.size() == static_cast<size_t>(tensor.size()), values.size(), " values for a tensor of ",
                 tensor.size());
  std::ranges::copy(values, tensor.floats().begin());
  return tensor;
}

Tensor Tensor::of_ints(Shape shape, std::span<const int32_t> values) {
  Tensor tensor(std::move(shape), DType::kI32);
  INKSTONE_CHECK(values.size() == static_cast<size_t>(tensor.size()), values.size(), " values for a tensor of ",
                 tensor.size());
  std::ranges::copy(values, tensor.ints().begin());
  return tensor;
}

std::span<float> Tensor::floats() {
  INKSTONE_CHECK(type_ == DType::kF32 && !on_device(), "a tensor of ", name_of(type_),
                 on_device() ? " on a device" : "", " read as fp32");
  return {reinterpret_cast<float*>(memory_.get()), static_cast<size_t>(size_)};
}

std::span<const float> Tensor::floats() const { return const_cast<Tensor*>(this)->floats(); }

std::span<int32_t> Tensor::ints() {
  INKSTONE_CHECK(type_ == DType::kI32 && !on_device(), "a tensor of ", name_of(type_),
                 on_device() ? " on a device" : "", " read as int32");
  return {reinterpret_cast<int32_t*>(memory_.get()), static_cast<size_t>(size_)};
}

std::span<const int32_t> Tensor::ints() const { return const_cast<Tensor*>(this)->ints(); }

Tensor Tensor::clone() const {
  INKSTONE_CHECK(!on_device(), "a tensor on a device cloned");
  Tensor copy(shape_, type_);
  if (size_) std::memcpy(copy.data(), data(), bytes());
  return copy;
}

}  // namespace inkstone
