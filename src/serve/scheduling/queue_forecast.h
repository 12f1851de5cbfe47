// When each job of a table will have ended if nobody else came.
#pragma once

#include <map>
#include <vector>

#include "serve/scheduling/batcher_settings.h"
#include "serve/scheduling/job_table.h"

namespace inkstone::serve {

class QueueForecast {
 public:
  // All of these must outlive it. `run` is what runs now.
  QueueForecast(const BatcherSettings& settings, const JobTable& table, const PlannedRun& run, double now)
      : settings_(settings), table_(table), run_(run), now_(now) {}

  struct Question {
    // Jobs with a deadline go before all others.
    bool deadlines_first = false;
    // As if this one were in the table too.
    const JobEntry* newcomer = nullptr;
  };
  // On the clock of `now`.
  std::map<JobId, double> ends(Question question) const;

 private:
  std::vector<ClientShares::Placed> ranked(Question question) const;
  // Before all others: deadlines that may pass, if the question is so.
  bool first(const ClientShares::Placed& job, Question question) const;

  const BatcherSettings& settings_;
  const JobTable& table_;
  const PlannedRun& run_;
  const double now_;
};

}  // namespace inkstone::serve
