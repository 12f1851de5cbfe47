// Attention on 32 vector registers with VDPBF16PS.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernels/units.h"

namespace inkstone::INKSTONE_ISA {

struct HalfUnits {
  static constexpr int kElements = 2;
  static constexpr float kOne = 8388608.0f;  // the exponent's lowest bit, so that x turns into a float's bits by rounding

  static INKSTONE_INLINE Word pack(Bf16 first, Bf16 second) { return first | static_cast<Word>(second) << 16; }

  static INKSTONE_INLINE Vec dot(Vec sum, Vec a, Vec b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

  static INKSTONE_INLINE BitVec exp2(const Vec* x) { return (raised(x[0]) >> 16) | (raised(x[1]) & 0xffff0000); }

  // Pairs of bf16 as unsigned numbers. What raised() makes of something too large or not a number has the sign bit.
  static INKSTONE_INLINE BitVec more(BitVec most, BitVec weights) {
    return reinterpret_cast<BitVec>(
        _mm512_max_epu16(reinterpret_cast<__m512i>(most), reinterpret_cast<__m512i>(weights)));
  }
  static INKSTONE_INLINE bool exceeds(BitVec most, int slack) {
    const auto limit = static_cast<int16_t>((127 + slack) << 7);
    return _mm512_cmpgt_epu16_mask(reinterpret_cast<__m512i>(most), _mm512_set1_epi16(limit)) != 0;
  }

 private:
  // The bits of 2^(x / kOne), raised by half a unit of bf16: cutting off the low half then rounds to nearest. The
  // polynomial is 2^(m - 1) + 2^-8 within 1e-4 for the fraction's mantissa m in [1, 2), and lies in that range too.
  static INKSTONE_INLINE BitVec raised(Vec x) {
    const auto fixed = reinterpret_cast<BitVec>(_mm512_maskz_cvtps_epi32(0xffff, larger(splat(-126 * kOne), x)));
    const Vec m = floats_of((fixed & 0x007fffff) | 0x3f800000);
    Vec p = m * 0.07802452147006989f - 0.008006374351680279f;
    p = p * m + 0.47777268290519714f;
    p = p * m + (0.4521344006061554f + 0.00390625f);
    return (fixed & 0xff800000) + bits_of(p);
  }
};

#ifndef QV
#define QV 4
#endif
inline constexpr int kQueryVectors = QV;  // 6 keys times 4 vectors of queries: 24 sums in flight

}  // namespace inkstone::INKSTONE_ISA
