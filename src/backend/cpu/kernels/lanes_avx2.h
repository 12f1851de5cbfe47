// What AVX2 processors do with F16C. Included by lanes.h.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernels/lanes_plain.h"

namespace inkstone::kernels::INKSTONE_ISA {

// sum + a * b, rounded once, in whatever a compiler makes of the rest: bits may not depend on the
// number of rows.
INKSTONE_INLINE Vec fused(Vec sum, Vec a, Vec b) { return _mm256_fmadd_ps(a, b, sum); }
INKSTONE_INLINE Vec widen_f16(HalfVec half) { return _mm256_cvtph_ps(reinterpret_cast<__m128i>(half)); }

}  // namespace inkstone::kernels::INKSTONE_ISA
