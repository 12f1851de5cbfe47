// What this machine's cores can do at most, measured: the yardstick of every speed that is
// reported.
#pragma once

#include "base/dtype.h"

namespace inkstone::kernels {

// FLOP/s of all threads() together on independent multiply-adds in registers, with the instruction
// set that table() chose; takes about half a second. 0 where the type is not multiplied natively,
// or on a processor that has no loop here.
double probe_peak(DType type);

}  // namespace inkstone::kernels
