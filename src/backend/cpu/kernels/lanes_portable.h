// Operations for which no instruction is known. Included by lanes.h.
#pragma once

#include "backend/cpu/kernels/lanes_plain.h"

namespace inkstone::kernels::INKSTONE_ISA {

INKSTONE_INLINE Vec fused(Vec sum, Vec a, Vec b) { return sum + a * b; }

// fp16 to fp32, exactly, without ever touching an fp32 number below 2^-126.
INKSTONE_INLINE Vec widen_f16(HalfVec half) {
  constexpr uint32_t kRebias = (127 - 15) << 23;
  const BitVec bits = __builtin_convertvector(half, BitVec);
  const BitVec sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13;
  const BitVec small = bits_of(floats_of(magnitude + (kRebias + (1 << 23))) - 0x1p-14f);  // subnormal: of exponent -14
  const BitVec large = magnitude + 2 * kRebias;                                           // infinity or NaN
  const BitVec normal = magnitude + kRebias;
  return floats_of(sign | (magnitude < 0x400u << 13 ? small : magnitude < 0x7c00u << 13 ? normal : large));
}

}  // namespace inkstone::kernels::INKSTONE_ISA
