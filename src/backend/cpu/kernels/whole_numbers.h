// Small arithmetic of sizes. It is in the variant's own namespace; lanes.h says why.
#pragma once

#include "backend/cpu/kernels/lanes.h"

namespace inkstone::kernels::INKSTONE_ISA {

INKSTONE_INLINE int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
INKSTONE_INLINE int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }
INKSTONE_INLINE int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
INKSTONE_INLINE int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

}  // namespace inkstone::kernels::INKSTONE_ISA
