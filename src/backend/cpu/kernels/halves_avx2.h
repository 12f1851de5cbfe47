// 16-bit lanes to 32-bit ones and back: GCC 12 needs to be told of VPMOVZXWD. Included by lanes.h.
#pragma once

#include <immintrin.h>

namespace inkstone::INKSTONE_ISA {

INKSTONE_INLINE BitVec widened(HalfVec half) {
  return reinterpret_cast<BitVec>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(half)));
}
INKSTONE_INLINE HalfVec narrowed(BitVec bits) { return __builtin_convertvector(bits, HalfVec); }

}  // namespace inkstone::INKSTONE_ISA
