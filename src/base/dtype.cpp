#include "base/dtype.h"

#include <cmath>
#include <cstring>

namespace inkstone {

float from_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // rounds to 65536 or more
  // subnormal: in units of 2^-24, to nearest even
  if (magnitude < 0x38800000) {
    const float units = std::ldexp(std::bit_cast<float>(magnitude), 24);
    return sign | static_cast<uint16_t>(std::nearbyint(units));
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

void to_float(DType type, const void* from, float* to, size_t count) {
  switch (type) {
    case DType::kF32: std::memcpy(to, from, count * sizeof(float)); return;
    case DType::kF16:
    case DType::kBF16: {
      const auto* bytes = static_cast<const std::byte*>(from);  // mapped files may be unaligned
      for (size_t i = 0; i < count; ++i) {
        uint16_t bits;
        std::memcpy(&bits, bytes + 2 * i, 2);
        to[i] = type == DType::kF16 ? from_f16(bits) : from_bf16(bits);
      }
      return;
    }
    case DType::kI32: {
      const auto* bytes = static_cast<const std::byte*>(from);
      for (size_t i = 0; i < count; ++i) {
        int32_t value;
        std::memcpy(&value, bytes + 4 * i, 4);
        to[i] = static_cast<float>(value);
      }
      return;
    }
  }
}

}  // namespace inkstone
