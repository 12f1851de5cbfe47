// What AVX2 processors do with F16C. Included by lanes.h.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernels/lanes_plain.h"

namespace inkstone::INKSTONE_ISA {

INKSTONE_INLINE Vec widen_f16(HalfVec half) { return _mm256_cvtph_ps(reinterpret_cast<__m128i>(half)); }

}  // namespace inkstone::INKSTONE_ISA
