// When jobs will end, as far as one can tell from those that are there: the batcher's order of service run ahead,
// from one job's last step to the next. Nobody else arrives, and every step takes what its curve says.
#pragma once

#include <span>
#include <vector>

#include "serve/step_times.h"

namespace inkstone {

struct ForecastLane {
  const StepTimes* times;
  int most_rows;
};

struct ForecastJob {
  size_t lane;
  int rows;
  int calls;           // 0: its steps are done, and its pixels remain
  bool text;           // still to be encoded
  bool first = false;  // its lane goes before all others
};

// Seconds from now to each job's end. Jobs come in their order of service; lanes with work share the time evenly.
// `first` jobs stand first; while one is left its lane has all the time, or `first_share` of it where others wait. O(jobs * rows of a batch), at worst jobs^2.
std::vector<double> forecast_steps(std::span<const ForecastLane> lanes, std::span<const ForecastJob> jobs,
                                   double first_share);

// The same where a batch is filled when it starts, of `most_jobs` at most, and the next starts when it has ended.
std::vector<double> forecast_waves(std::span<const ForecastLane> lanes, std::span<const ForecastJob> jobs,
                                   size_t most_jobs);

}  // namespace inkstone
