// How attention multiplies. A packed operand consists of 32-bit words, each of kElements neighbours
// along the summed axis: one float here, two bf16 in dot_format_avx512.h.
#pragma once

#include "backend/cpu/kernels/lanes.h"

namespace inkstone::kernels::INKSTONE_ISA {

using Word = uint32_t;

INKSTONE_INLINE Vec load(const Word* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
INKSTONE_INLINE void store(Word* to, BitVec v) { std::memcpy(to, &v, sizeof v); }
INKSTONE_INLINE Vec splat_word(const Word* from) { return floats_of(*from - BitVec{}); }

struct FloatDotFormat {
  static constexpr int kElements = 1;
  static constexpr float kOne = 1, kBias = 0, kMin = -126;

  // The word of the elements at `first` and, where a word has two, at `second`.
  static INKSTONE_INLINE Word pack(const float* first, const float*) {
    Word word;
    std::memcpy(&word, first, sizeof word);
    return word;
  }
  static INKSTONE_INLINE Word pack(const Bf16* first, const Bf16*) { return static_cast<Word>(*first) << 16; }

  static INKSTONE_INLINE Vec dot(Vec sum, Vec a, Vec b) { return fused(sum, a, b); }
  // 2^(x[i] / kOne - kBias), x[i] being neighbour i of each lane; precise from kMin on.
  static INKSTONE_INLINE BitVec exp2(const Vec* x) { return bits_of(exp2_of(x[0])); }
  // Updates `largest`, which tells whether any weight was above 2^slack or NaN.
  static INKSTONE_INLINE BitVec larger_words(BitVec largest, BitVec weights) {
    return largest > weights ? largest : weights;
  }
  static INKSTONE_INLINE bool exceeds(BitVec largest, int slack) {
    const uint32_t limit = static_cast<uint32_t>(127 + slack) << 23;
    bool any = false;
    for (int i = 0; i < kLanes; ++i) any |= largest[i] > limit;
    return any;
  }
};

}  // namespace inkstone::kernels::INKSTONE_ISA
