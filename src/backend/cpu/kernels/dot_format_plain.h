// Attention on 16 vector registers; bf16 is widened when it is packed. Also the portable choice.
#pragma once

#include "backend/cpu/kernels/dot_format.h"

namespace inkstone::kernels::INKSTONE_ISA {

using Bf16DotFormat = FloatDotFormat;
// 6 keys times 2 vectors of queries: 12 sums in flight
inline constexpr int kQueryVectors = 2;

}  // namespace inkstone::kernels::INKSTONE_ISA
