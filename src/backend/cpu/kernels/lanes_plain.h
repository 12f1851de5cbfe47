// Operations that instruction sets do in different ways, left to the compiler here. Included by
// lanes_portable.h and lanes_avx2.h.
#pragma once

namespace inkstone::kernels::INKSTONE_ISA {

INKSTONE_INLINE Vec widen(HalfVec half) { return floats_of(__builtin_convertvector(half, BitVec) << 16); }

// To nearest, ties to even; NaN stays NaN: the same bits as to_bf16().
INKSTONE_INLINE HalfVec narrow(Vec v) {
  const BitVec bits = bits_of(v);
  const BitVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const BitVec quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector(v == v ? rounded : quiet, HalfVec);
}

INKSTONE_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }  // b where either is NaN
INKSTONE_INLINE Vec smaller(Vec a, Vec b) { return a < b ? a : b; }

INKSTONE_INLINE Vec inverse(Vec v) { return 1.0f / v; }

}  // namespace inkstone::kernels::INKSTONE_ISA
