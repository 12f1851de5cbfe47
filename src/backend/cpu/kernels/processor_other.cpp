// A processor without variants of its own runs the portable kernels.
#include "backend/cpu/kernels/processor.h"

namespace inkstone::kernels {

std::span<const Table* const> runnable_tables() {
  static const Table* const tables[] = {&portable::kTable};
  return tables;
}

PeakLoop peak_loop(std::string_view, DType) { return {}; }

}  // namespace inkstone::kernels
