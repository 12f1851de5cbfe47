// What GCC 12 does not find by itself in AVX2. Included by lanes.h.
#pragma once

#include <immintrin.h>

namespace inkstone::INKSTONE_ISA {

INKSTONE_INLINE BitVec widened(HalfVec half) {
  return reinterpret_cast<BitVec>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(half)));
}
INKSTONE_INLINE HalfVec narrowed(BitVec bits) { return __builtin_convertvector(bits, HalfVec); }

INKSTONE_INLINE Vec larger(Vec a, Vec b) { return _mm256_max_ps(a, b); }  // b where either is NaN
INKSTONE_INLINE Vec smaller(Vec a, Vec b) { return _mm256_min_ps(a, b); }

}  // namespace inkstone::INKSTONE_ISA
