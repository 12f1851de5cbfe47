// 16-bit lanes to 32-bit ones and back: GCC 12 needs to be told of VPMOVZXWD and VPMOVDW. Included by lanes.h.
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

}  // namespace inkstone::INKSTONE_ISA
