// A processor without variants of its own runs the portable kernels.
#include "backend/cpu/kernels/processor.h"

namespace inkstone {

std::span<const Kernels* const> runnable_kernels() {
  static const Kernels* const tables[] = {&portable::kTable};
  return tables;
}

PeakLoop peak_loop(std::string_view, DType) { return {}; }

}  // namespace inkstone
