// How attention multiplies. A packed operand consists of 32-bit words, each of kElements neighbours along the summed axis:
// one float here, two bf16 in units_avx512.h.
#pragma once

#include "backend/cpu/kernels/lanes.h"

namespace inkstone::INKSTONE_ISA {

using Word = uint32_t;

INKSTONE_INLINE Vec load(const Word* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
INKSTONE_INLINE void store(Word* to, Vec v) { std::memcpy(to, &v, sizeof v); }
INKSTONE_INLINE Vec splat_word(const Word* from) { return floats_of(*from - BitVec{}); }

struct FloatUnits {
  static constexpr int kElements = 1;

  static INKSTONE_INLINE Word pack(float value, float) {
    Word word;
    std::memcpy(&word, &value, sizeof word);
    return word;
  }
  static INKSTONE_INLINE Word pack(Bf16 value, Bf16) { return static_cast<Word>(value) << 16; }

  static INKSTONE_INLINE Vec dot(Vec sum, Vec a, Vec b) { return sum + a * b; }
  static INKSTONE_INLINE Vec exp2(const Vec* x) { return exp2_of(x[0]); }  // x[i]: neighbour i of each lane
};

}  // namespace inkstone::INKSTONE_ISA
