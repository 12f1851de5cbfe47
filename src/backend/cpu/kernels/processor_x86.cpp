// Which variants an x86-64 processor runs.
#include "backend/cpu/kernels/processor.h"

namespace inkstone::kernels {
namespace {

// Every processor with AVX2 has F16C, which clang 14 cannot ask for.
bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bf16");
}

}  // namespace

std::span<const Table* const> runnable_tables() {
  static const Table* const tables[] = {&avx512::kTable, &avx2::kTable, &portable::kTable};
  static const size_t skipped = runs_avx512() ? 0 : runs_avx2() ? 1 : 2;
  return std::span(tables).subspan(skipped);
}

}  // namespace inkstone::kernels
