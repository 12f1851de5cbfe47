#include "backend/cpu/kernels/peak.h"

#include <algorithm>
#include <chrono>

#include "backend/cpu/kernels/processor.h"
#include "base/parallel.h"

namespace inkstone::kernels {
namespace {

double peak_of(const PeakLoop& loop, int tries) {
  constexpr int64_t kIterations = 4'000'000;
  double best = 1e9;
  for (int i = 0; i < tries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    parallel_for(threads(), 1, [&](int64_t first, int64_t last) {
      for (; first < last; ++first) loop.run(kIterations);
    });
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return loop.flops * static_cast<double>(kIterations) * threads() / best;
}

}  // namespace

double probe_peak(DType type, int tries) {
  const PeakLoop loop = peak_loop(table().name, type);
  return loop.run ? peak_of(loop, tries) : 0;
}

}  // namespace inkstone::kernels
