// Predicts when jobs will end: runs the batcher's order of service ahead, from one job's last step
// to the next. It assumes that nobody else arrives and that every step takes what its curve says.
#pragma once

#include <span>
#include <vector>

#include "serve/scheduling/step_times.h"

namespace inkstone::serve {

struct ForecastBucket {
  const StepTimes* times;
  int max_batch_rows;
  double weight = 1;  // of its share of the time; above 0 if it has jobs, or will have
};

struct ForecastLeg {
  size_t bucket;
  int rows, calls;
  Beginning begins = Beginning::kImage;
};

struct ForecastJob {
  size_t bucket;
  int rows;
  int calls;           // 0: only its decode remains
  bool text;           // still to be encoded
  bool first = false;  // its bucket goes before all others
  Beginning begins = Beginning::kText;
  bool draws = true;                 // else there is nothing to decode
  std::vector<ForecastLeg> later{};  // after these calls, each with a beginning of its own
};

// Seconds from now to each job's end. Jobs are given in their order of service, `first` ones first.
// Buckets with work share the time by their weights; while a `first` job is left its bucket has all
// the time, or `first_share` of it if others wait. O(jobs * (batch rows + buckets)).
std::vector<double> forecast_steps(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs,
                                   double first_share);

// The same if a batch of at most `max_jobs` is filled when it starts, and the next starts when it
// ends.
std::vector<double> forecast_waves(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs,
                                   size_t max_jobs);

}  // namespace inkstone::serve
