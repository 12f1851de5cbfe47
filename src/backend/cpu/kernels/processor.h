// One family of processors: which variants it runs (runnable_tables) and how its peak is measured.
// kernels.cmake builds the file of the target's family: *_x86.cpp or *_other.cpp.
#pragma once

#include <span>
#include <string_view>

#include "backend/cpu/kernels/kernels.h"

namespace inkstone::kernels {

namespace portable {
extern const Table kTable;
}
namespace avx2 {
extern const Table kTable;
}
namespace avx512 {
extern const Table kTable;
}

// Independent multiply-adds in registers, as the variant named multiplies this type: `flops` for
// each iteration. `run` is empty if it has no such instruction, or none is known here.
struct PeakLoop {
  double flops = 0;
  void (*run)(int64_t iterations) = nullptr;
};
PeakLoop peak_loop(std::string_view isa, DType type);

}  // namespace inkstone::kernels
