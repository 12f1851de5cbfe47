// Which job is admitted: one that fits into the queue, that does not wait too long for the work of
// others, and that lets all keep their deadlines. An idle device takes any job.
#pragma once

#include <map>

#include "serve/scheduling/queue_forecast.h"

namespace inkstone::serve {

enum class Refusal { kNone, kKnown, kNoBucket, kTooManyRows, kQueueFull, kTooLong, kDeadline };

struct Admission {
  Refusal refusal = Refusal::kNone;
  double end = 0;          // predicted, on the caller's clock
  double wait = 0;         // seconds of others' work before it, as predicted
  double retry_after = 0;  // seconds, where trying again may help
  bool accepted() const { return refusal == Refusal::kNone; }
};

class AdmissionCheck {
 public:
  // All of these must outlive it. `run` is what runs now.
  AdmissionCheck(const BatcherSettings& settings, const JobTable& table, const PlannedRun& run, double now)
      : settings_(settings), table_(table), forecast_(settings, table, run, now), now_(now) {}
  Admission of(const BatchJob& job) const;

 private:
  Refusal room_for(const BatchJob& job) const;
  double seconds_to_room() const;
  bool breaks_a_deadline(const JobEntry& newcomer, const std::map<JobId, double>& before,
                         const std::map<JobId, double>& with) const;

  const BatcherSettings& settings_;
  const JobTable& table_;
  const QueueForecast forecast_;
  const double now_;
};

}  // namespace inkstone::serve
