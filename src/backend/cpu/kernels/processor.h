// Which variants this processor runs, best first. One of the processor_*.cpp is built.
#pragma once

#include <span>

#include "backend/cpu/kernels/kernels.h"

namespace inkstone {

namespace portable {
extern const Kernels kTable;
}
namespace avx2 {
extern const Kernels kTable;
}
namespace avx512 {
extern const Kernels kTable;
}

}  // namespace inkstone
