// A device and its callers on a clock of numbers: what a Batcher makes of thousands of arrivals.
// Whatever breaks a rule stands in `faults`, with the time. The same arrivals and options give the
// same outcome.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "serve/scheduling/batcher.h"

namespace inkstone::serve {

struct Arrival {
  BatchJob job;  // arrives at job.arrival
  std::optional<double> cancelled_at;
};

struct SimulatedBucket {
  SizeBucket bucket;
  StepTimes times;
  int max_batch_rows;
  // Jobs a second of a full batch.
  double saturation(int calls, int rows) const;
};

struct SimulationOptions {
  BatcherSettings settings{};
  std::vector<SimulatedBucket> buckets{};
  // A run takes 1 +- noise of what its curve says.
  double noise = 0;
  double seconds_to_death = 0;  // mean; 0: the worker never dies
  // Share of the steps that fail one job.
  double failures = 0;
  // Models that are in memory at once, and the seconds that bringing another in takes; 0: all are there.
  size_t models_kept = 0;
  double switch_seconds = 0;
  double buckets_until = 1e300;  // bucket_seconds are those until then
  uint64_t seed = 1;
};

struct Fate {
  BatchJob job;
  Admission admission;
  std::optional<double> first_step, end, cancelled;
  bool failed = false;
  int ends = 0;  // of whatever kind
};

struct SimulationOutcome {
  std::vector<Fate> fates;
  std::vector<std::string> faults;
  double seconds = 0;  // when all was over
  int64_t steps = 0, rows = 0, deaths = 0, switches = 0;
  std::vector<double> bucket_seconds;  // of steps
};

SimulationOutcome simulate(const SimulationOptions& options, const std::vector<Arrival>& arrivals);

struct Mix {  // of arrivals
  std::vector<SizeBucket> buckets{};
  double per_second = 1;
  int jobs = 1000;
  int min_calls = 20, max_calls = 20;
  double unguided = 0, cancelled = 0, low = 0, high = 0, timed = 0;  // shares
  // A deadline, in seconds, times 1 to 2.
  double slack = 4;
  // On and off, ten jobs long, at four times the rate.
  bool bursts = false;
  double legs = 0;  // share of those that go on in another bucket, and of these once more
};
std::vector<Arrival> random_arrivals(const Mix& mix, uint64_t seed);

double quantile(std::vector<double> values, double q);
std::vector<double> waits_for_first_step(const SimulationOutcome& outcome);

// A step costs as much for each row as for one, as on a CPU; and a device with room for many.
SimulatedBucket flat_bucket(const std::string& model, int size, double scale = 1);
SimulatedBucket roomy_bucket(const std::string& model, int size, double scale = 1);

}  // namespace inkstone::serve
