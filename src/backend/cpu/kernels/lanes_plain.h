// What every instruction set has its own way to do. Included by lanes.h.
#pragma once

namespace inkstone::INKSTONE_ISA {

INKSTONE_INLINE BitVec widened(HalfVec half) { return __builtin_convertvector(half, BitVec); }
INKSTONE_INLINE HalfVec narrowed(BitVec bits) { return __builtin_convertvector(bits, HalfVec); }

INKSTONE_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }  // b where either is NaN
INKSTONE_INLINE Vec smaller(Vec a, Vec b) { return a < b ? a : b; }

}  // namespace inkstone::INKSTONE_ISA
