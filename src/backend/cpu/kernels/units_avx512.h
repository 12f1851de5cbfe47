// Attention on 32 vector registers with VDPBF16PS.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernels/units.h"

namespace inkstone::INKSTONE_ISA {

struct HalfUnits {
  static constexpr int kElements = 2;

  static INKSTONE_INLINE Word pack(Bf16 first, Bf16 second) { return first | static_cast<Word>(second) << 16; }

  static INKSTONE_INLINE Vec dot(Vec sum, Vec a, Vec b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

  // 2^x[0] and 2^x[1] in bf16. The polynomial is 2^f + 2^-8 for the fraction f of x, within 1e-4: it lies in [1, 2), so
  // cutting off the low half of a float rounds to nearest.
  static INKSTONE_INLINE Vec exp2(const Vec* x) {
    return floats_of((bits_of(exp2_raised(x[0])) >> 16) | (bits_of(exp2_raised(x[1])) & 0xffff0000));
  }

 private:
  static INKSTONE_INLINE Vec exp2_raised(Vec x) {
    const __m512 f = _mm512_reduce_ps(x, 0x09);  // x - floor(x), quietly
    __m512 p = _mm512_fmadd_ps(f, _mm512_set1_ps(0.07802452147006989f), _mm512_set1_ps(0.2260671854019165f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6958335041999817f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.9999251961708069f + 0.00390625f));
    return _mm512_scalef_ps(p, x);  // times 2^floor(x)
  }
};

inline constexpr int kQueryVectors = 4;  // 6 keys times 4 vectors of queries: 24 sums in flight

}  // namespace inkstone::INKSTONE_ISA
