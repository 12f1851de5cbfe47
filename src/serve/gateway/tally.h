// Counts and histograms of what a gateway has done, as its figures give them out.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "serve/jobs/image_service.h"

namespace inkstone::serve {

inline Histogram histogram(std::vector<double> bounds) {
  Histogram histogram{std::move(bounds), {}, 0};
  histogram.counts.resize(histogram.bounds.size() + 1);
  return histogram;
}

inline void observe(Histogram& histogram, double value) {  // counts are cumulative
  for (size_t i = 0; i < histogram.bounds.size(); i++) histogram.counts[i] += value <= histogram.bounds[i];
  histogram.counts.back()++;
  histogram.sum += value;
}

struct Tally {
  int64_t done = 0, failed = 0, cancelled = 0, retries = 0, worker_deaths = 0;
  std::map<std::string, int64_t> rejected, failures;  // by code
  Histogram wait_seconds = histogram({0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600});
  Histogram step_seconds = histogram({0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30});
  Histogram rows_per_step = histogram({1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64});
  Histogram encode_seconds = histogram({0.005, 0.01, 0.05, 0.1, 0.5, 1, 5});
  Histogram decode_seconds = histogram({0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30});
  Histogram switch_seconds = histogram({0.1, 0.5, 1, 2, 5, 10, 30});
  Histogram total_seconds = histogram({0.1, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200});
};

}  // namespace inkstone::serve
