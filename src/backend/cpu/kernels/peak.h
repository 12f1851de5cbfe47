// Measures the peak of this machine's cores. Every reported speed is compared with it.
#pragma once

#include "base/dtype.h"

namespace inkstone::kernels {

// FLOP/s of all threads() together on independent multiply-adds in registers, with the instruction
// set that table() chose; 25 tries take about half a second. 0 if the type is not multiplied natively, or
// if there is no loop for this processor.
double probe_peak(DType type, int tries);

}  // namespace inkstone::kernels
