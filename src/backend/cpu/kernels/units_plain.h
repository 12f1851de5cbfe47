// Attention on 16 vector registers; bf16 is widened when it is packed. Also the portable choice.
#pragma once

#include "backend/cpu/kernels/units.h"

namespace inkstone::kernels::INKSTONE_ISA {

using HalfUnits = FloatUnits;
inline constexpr int kQueryVectors = 2;  // 6 keys times 2 vectors of queries: 12 sums in flight

}  // namespace inkstone::kernels::INKSTONE_ISA
