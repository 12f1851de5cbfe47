#include "backend/ascend/staging.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace inkstone::ascend {
namespace {

constexpr size_t kPiece = 64;

int32_t whole(float value, const std::string& name) {
  INKSTONE_CHECK_USAGE(std::nearbyint(value) == value && std::abs(value) < 1e9f, "\"", name, "\" is ", value,
                       ", and the compiled file takes whole numbers: use a scheduler of whole timesteps (ddim, pndm)");
  return static_cast<int32_t>(value);
}

float as_float(DType type, const std::byte* from, size_t i) {
  switch (type) {
    case DType::kF32: return reinterpret_cast<const float*>(from)[i];
    case DType::kF16: return from_f16(reinterpret_cast<const uint16_t*>(from)[i]);
    case DType::kBF16: return from_bf16(reinterpret_cast<const uint16_t*>(from)[i]);
    case DType::kI32: return static_cast<float>(reinterpret_cast<const int32_t*>(from)[i]);
  }
  return 0;
}

void convert(DType from_type, const std::byte* from, DType to_type, std::byte* to, size_t count,
             const std::string& name) {
  for (size_t i = 0; i < count; ++i) {
    const float value = as_float(from_type, from, i);
    switch (to_type) {
      case DType::kF32: reinterpret_cast<float*>(to)[i] = value; break;
      case DType::kF16: reinterpret_cast<uint16_t*>(to)[i] = to_f16(value); break;
      case DType::kBF16: reinterpret_cast<uint16_t*>(to)[i] = to_bf16(value); break;
      case DType::kI32: reinterpret_cast<int32_t*>(to)[i] = whole(value, name); break;
    }
  }
}

}  // namespace

size_t Staging::rounded(size_t bytes) { return (bytes + kPiece - 1) / kPiece * kPiece; }

Staging::~Staging() {
  device_.clean_up([this] { device_.release_host(begin_); });
}

void Staging::prepare(size_t bytes) {
  if (taken_ + bytes <= size_) return;
  if (taken_) synchronize();
  if (bytes <= size_) return;
  device_.release_host(std::exchange(begin_, nullptr));
  size_ = 0;
  begin_ = device_.reserve_host(bytes);
  size_ = bytes;
}

std::byte* Staging::take(size_t bytes) {
  INKSTONE_CHECK(taken_ + rounded(bytes) <= size_, "staging of ", size_, " bytes was not prepared for ", bytes,
                 " more");
  return begin_ + std::exchange(taken_, taken_ + rounded(bytes));
}

void Staging::synchronize() {
  device_.synchronize();
  taken_ = 0;
}

void convert_to(DType type, const Tensor& from, std::byte* to, const std::string& name) {
  if (type == from.type()) return static_cast<void>(std::memcpy(to, from.data(), from.bytes()));
  convert(from.type(), from.data(), type, to, static_cast<size_t>(from.size()), name);
}

void convert_from(DType type, const std::byte* from, Tensor& to, const std::string& name) {
  if (type == to.type()) return static_cast<void>(std::memcpy(to.data(), from, to.bytes()));
  convert(type, from, to.type(), to.data(), static_cast<size_t>(to.size()), name);
}

}  // namespace inkstone::ascend
