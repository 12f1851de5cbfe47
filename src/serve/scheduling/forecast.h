// When jobs will end, as far as one can tell from those that are there: the batcher's order of service run ahead,
// from one job's last step to the next. Nobody else arrives, and every step takes what its curve says.
#pragma once

#include <span>
#include <vector>

#include "serve/scheduling/step_times.h"

namespace inkstone::serve {

struct ForecastBucket {
  const StepTimes* times;
  int max_batch_rows;
};

struct ForecastJob {
  size_t bucket;
  int rows;
  int calls;           // 0: its steps are done, and its pixels remain
  bool text;           // still to be encoded
  bool first = false;  // its bucket goes before all others
};

// Seconds from now to each job's end. Jobs come in their order of service; buckets with work share the time evenly.
// `first` jobs stand first; while one is left its bucket has all the time, or `first_share` of it where others wait. O(jobs * rows of a batch), at worst jobs^2.
std::vector<double> forecast_steps(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs,
                                   double first_share);

// The same where a batch is filled when it starts, of `max_jobs` at most, and the next starts when it has ended.
std::vector<double> forecast_waves(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs,
                                   size_t max_jobs);

}  // namespace inkstone::serve
