// What AVX-512 does in an instruction or two and GCC 12 does not find by itself. Included by
// lanes.h.
// The zeroing forms with a full mask, because GCC 12 warns of its own headers in the plain ones.
#pragma once

#include <immintrin.h>

namespace inkstone::kernels::INKSTONE_ISA {

INKSTONE_INLINE Vec widen(HalfVec half) {
  return floats_of(reinterpret_cast<BitVec>(_mm512_maskz_cvtepu16_epi32(0xffff, reinterpret_cast<__m256i>(half)))
                   << 16);
}

INKSTONE_INLINE Vec widen_f16(HalfVec half) { return _mm512_maskz_cvtph_ps(0xffff, reinterpret_cast<__m256i>(half)); }

// The same bits as to_bf16(), except that numbers below 2^-126 become 0.
INKSTONE_INLINE HalfVec narrow(Vec v) { return reinterpret_cast<HalfVec>(_mm512_cvtneps_pbh(v)); }

INKSTONE_INLINE Vec fused(Vec sum, Vec a, Vec b) { return _mm512_fmadd_ps(a, b, sum); }

INKSTONE_INLINE Vec larger(Vec a, Vec b) { return _mm512_maskz_max_ps(0xffff, a, b); }  // b where either is NaN
INKSTONE_INLINE Vec smaller(Vec a, Vec b) { return _mm512_maskz_min_ps(0xffff, a, b); }

// 1 / v within 1e-7 for v in [1, 2^126]: a division takes four times as long.
INKSTONE_INLINE Vec inverse(Vec v) {
  const Vec guess = _mm512_maskz_rcp14_ps(0xffff, v);
  return guess + guess * (1.0f - v * guess);
}

}  // namespace inkstone::kernels::INKSTONE_ISA
