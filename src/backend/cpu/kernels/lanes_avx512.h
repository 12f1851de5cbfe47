// What GCC 12 does not find by itself in AVX-512. Included by lanes.h.
#pragma once

#include <immintrin.h>

namespace inkstone::INKSTONE_ISA {

// The zeroing forms, because GCC 12 warns of its own headers in the others.
INKSTONE_INLINE BitVec widened(HalfVec half) {
  return reinterpret_cast<BitVec>(_mm512_maskz_cvtepu16_epi32(0xffff, reinterpret_cast<__m256i>(half)));
}
INKSTONE_INLINE HalfVec narrowed(BitVec bits) {
  return reinterpret_cast<HalfVec>(_mm512_maskz_cvtepi32_epi16(0xffff, reinterpret_cast<__m512i>(bits)));
}

INKSTONE_INLINE Vec larger(Vec a, Vec b) { return _mm512_maskz_max_ps(0xffff, a, b); }  // b where either is NaN
INKSTONE_INLINE Vec smaller(Vec a, Vec b) { return _mm512_maskz_min_ps(0xffff, a, b); }

}  // namespace inkstone::INKSTONE_ISA
