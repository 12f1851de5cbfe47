#include "load/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace inkstone {

double percentile(std::span<const double> sorted, double fraction) {
  INKSTONE_CHECK(!sorted.empty() && fraction >= 0 && fraction <= 1, "the part ", fraction, " of ", sorted.size(),
                 " values");
  const double rank = std::ceil(fraction * static_cast<double>(sorted.size()) - 1e-9);
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

Summary summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {values.size(),
          sum / static_cast<double>(values.size()),
          percentile(values, 0.5),
          percentile(values, 0.9),
          percentile(values, 0.99),
          values.back()};
}

JsonObject to_json(const Summary& s) {
  return {{"count", s.count}, {"mean", s.mean}, {"p50", s.p50}, {"p90", s.p90}, {"p99", s.p99}, {"max", s.max}};
}

}  // namespace inkstone
