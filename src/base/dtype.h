// Element types and the conversions between them. Half types are stored as their bits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace inkstone {

inline constexpr float kLargestF16 = 65504;

enum class DType { kF32, kF16, kBF16, kI32 };

constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kI32: return 4;
    case DType::kF16:
    case DType::kBF16: return 2;
  }
  return 0;
}

constexpr const char* name_of(DType type) {
  switch (type) {
    case DType::kF32: return "fp32";
    case DType::kF16: return "fp16";
    case DType::kBF16: return "bf16";
    case DType::kI32: return "int32";
  }
  return "?";
}

inline float from_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Rounds to nearest, ties to even; NaN stays NaN.
inline uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_f16(uint16_t bits);
// rounds to nearest, ties to even; overflow becomes infinity
uint16_t to_f16(float value);

// Converts `count` elements of `type` at `from` to floats at `to`.
void to_float(DType type, const void* from, float* to, size_t count);

}  // namespace inkstone
