// Attention on 32 vector registers with VDPBF16PS.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernels/dot_format.h"

namespace inkstone::kernels::INKSTONE_ISA {

struct Bf16DotFormat {
  static constexpr int kElements = 2;
  // x / kOne - kBias is the power: as an integer, x is a float's exponent above a linear fraction.
  static constexpr float kOne = 8388608.0f, kBias = 127 * kOne, kMin = kOne;

  static INKSTONE_INLINE Word pack(const Bf16* first, const Bf16* second) {
    return *first | static_cast<Word>(*second) << 16;
  }

  // 2 kLanes neighbours, rounded to nearest even.
  static INKSTONE_INLINE BitVec round(Vec low, Vec high) {
    return reinterpret_cast<BitVec>(_mm512_cvtne2ps_pbh(high, low));
  }
  // Each lane's word of one element of `first` and one of `second`.
  static INKSTONE_INLINE BitVec round_beside(Vec first, Vec second) {
    return reinterpret_cast<BitVec>(_mm512_maskz_permutexvar_epi16(0xffffffff, reinterpret_cast<__m512i>(kBeside),
                                                                   reinterpret_cast<__m512i>(round(first, second))));
  }

  static INKSTONE_INLINE Vec dot(Vec sum, Vec a, Vec b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

  static INKSTONE_INLINE BitVec exp2(const Vec* x) {
    const auto low = reinterpret_cast<__m512i>(power(x[0])), high = reinterpret_cast<__m512i>(power(x[1]));
    return reinterpret_cast<BitVec>(_mm512_permutex2var_epi16(low, reinterpret_cast<__m512i>(kHigh), high));
  }

  // Weights as pairs of unsigned numbers. What power() makes of a NaN or of something out of its
  // range lies above all.
  static INKSTONE_INLINE BitVec larger_words(BitVec largest, BitVec weights) {
    return reinterpret_cast<BitVec>(
        _mm512_max_epu16(reinterpret_cast<__m512i>(largest), reinterpret_cast<__m512i>(weights)));
  }
  static INKSTONE_INLINE bool exceeds(BitVec largest, int slack) {
    const auto limit = static_cast<int16_t>((127 + slack) << 7);
    return _mm512_cmpgt_epu16_mask(reinterpret_cast<__m512i>(largest), _mm512_set1_epi16(limit)) != 0;
  }

 private:
  // A float whose high half is 2^(x / kOne - kBias). The polynomial of the mantissa m in [1, 2) is
  // 2^(m - 1) plus (2 - m) / 256, within 3e-4: about half a unit of bf16 more, since what lies
  // below is cut off; and below 2, since only its mantissa is taken.
  static INKSTONE_INLINE BitVec power(Vec x) {
    const auto fixed = reinterpret_cast<BitVec>(_mm512_maskz_cvtps_epi32(0xffff, x));
    const Vec m = floats_of((fixed & 0x007fffff) | 0x3f800000);
    Vec p = m * 0.07802452147006989f - 0.008006374351680279f;
    p = p * m + 0.473866432905197f;
    p = p * m + 0.459746900606155f;
    return (fixed & 0xff800000) | (bits_of(p) & 0x007fffff);
  }

  typedef uint16_t Index __attribute__((vector_size(64)));
  static constexpr Index kBeside = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  static constexpr Index kHigh = {1,  33, 3,  35, 5,  37, 7,  39, 9,  41, 11, 43, 13, 45, 15, 47,
                                  17, 49, 19, 51, 21, 53, 23, 55, 25, 57, 27, 59, 29, 61, 31, 63};
};

// 6 keys times 4 vectors of queries: 24 sums in flight
inline constexpr int kQueryVectors = 4;

}  // namespace inkstone::kernels::INKSTONE_ISA
