#include "base/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <fstream>
#include <string>

namespace inkstone {
namespace {

// cgroup v2 says "quota period" or "max period" in one file; v1 has a file for each. 0: no limit.
double cgroup_cores() {
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file) {
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0) return std::atof(quota.c_str()) / period;
    return 0;
  }
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) return quota / period;
  return 0;
}

}  // namespace

int usable_cores() {
  int cores = 1;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) cores = CPU_COUNT(&mask);
  if (const double limit = cgroup_cores(); limit > 0) cores = std::min(cores, static_cast<int>(std::ceil(limit)));
  return std::max(1, cores);
}

void set_threads(int threads) { omp_set_num_threads(std::max(1, threads)); }

int threads() { return omp_get_max_threads(); }

void parallel_for(int64_t count, int64_t grain, RangeBody body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(1, grain);
  const int64_t pieces = std::min<int64_t>(threads(), std::max<int64_t>(1, count / grain));
  if (pieces <= 1 || omp_in_parallel()) return body(0, count);
  std::exception_ptr thrown;
#pragma omp parallel num_threads(static_cast <int>(pieces))
  {
    const int64_t workers = omp_get_num_threads(), worker = omp_get_thread_num();
    const int64_t begin = count * worker / workers, end = count * (worker + 1) / workers;
    try {
      if (begin < end) body(begin, end);
    } catch (...) {
#pragma omp critical(inkstone_parallel_for)
      if (!thrown) thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace inkstone
