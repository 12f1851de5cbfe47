#include "backend/cpu/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "backend/cpu/kernels/kernels.h"
#include "base/parallel.h"

namespace inkstone {
namespace {

double peak_of(double flops_each, void (*loop)(int64_t)) {
  constexpr int64_t kTurns = 4'000'000;
  constexpr int kTries = 25;
  double best = 1e9;
  for (int i = 0; i < kTries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    parallel_for(threads(), 1, [&](int64_t first, int64_t last) {
      for (; first < last; ++first) loop(kTurns);
    });
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return flops_each * static_cast<double>(kTurns) * threads() / best;
}

#ifdef __x86_64__
// clang-format off
#define INKSTONE_TWELVE(op, a, b, r) \
  op " " a "," b "," r "0\n" op " " a "," b "," r "1\n" op " " a "," b "," r "2\n" op " " a "," b "," r "3\n" \
  op " " a "," b "," r "4\n" op " " a "," b "," r "5\n" op " " a "," b "," r "6\n" op " " a "," b "," r "7\n" \
  op " " a "," b "," r "8\n" op " " a "," b "," r "9\n" op " " a "," b "," r "10\n" op " " a "," b "," r "11\n"
// clang-format on
#define INKSTONE_CLOBBERED \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13"

void fma512(int64_t turns) {
  asm volatile("vpxor %%xmm12,%%xmm12,%%xmm12\nvpxor %%xmm13,%%xmm13,%%xmm13" ::: INKSTONE_CLOBBERED);
  for (; turns > 0; --turns)
    asm volatile(INKSTONE_TWELVE("vfmadd231ps", "%%zmm12", "%%zmm13", "%%zmm")::: INKSTONE_CLOBBERED);
}
void dot512(int64_t turns) {
  asm volatile("vpxor %%xmm12,%%xmm12,%%xmm12\nvpxor %%xmm13,%%xmm13,%%xmm13" ::: INKSTONE_CLOBBERED);
  for (; turns > 0; --turns)
    asm volatile(INKSTONE_TWELVE("vdpbf16ps", "%%zmm12", "%%zmm13", "%%zmm")::: INKSTONE_CLOBBERED);
}
void fma256(int64_t turns) {
  asm volatile("vpxor %%xmm12,%%xmm12,%%xmm12\nvpxor %%xmm13,%%xmm13,%%xmm13" ::: INKSTONE_CLOBBERED);
  for (; turns > 0; --turns)
    asm volatile(INKSTONE_TWELVE("vfmadd231ps", "%%ymm12", "%%ymm13", "%%ymm")::: INKSTONE_CLOBBERED);
}

double probe(const std::string& isa, DType type) {
  const bool bf16 = type == DType::kBF16;
  if (isa == "avx512") return bf16 ? peak_of(12 * 64, dot512) : peak_of(12 * 32, fma512);
  return isa == "avx2" && !bf16 ? peak_of(12 * 16, fma256) : 0;
}
#else
double probe(const std::string&, DType) { return 0; }
#endif

}  // namespace

double probe_peak(DType type) { return probe(kernels().name, type); }

}  // namespace inkstone
