// 16-bit lanes to 32-bit ones and back, in any instruction set. Included by lanes.h.
#pragma once

namespace inkstone::INKSTONE_ISA {

INKSTONE_INLINE BitVec widened(HalfVec half) { return __builtin_convertvector(half, BitVec); }
INKSTONE_INLINE HalfVec narrowed(BitVec bits) { return __builtin_convertvector(bits, HalfVec); }

}  // namespace inkstone::INKSTONE_ISA
