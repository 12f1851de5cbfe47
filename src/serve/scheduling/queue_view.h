// The queue as it stands at one decision with Batching::kStep: what waits, in which order, and
// whose deadline is at risk.
#pragma once

#include <vector>

#include "serve/scheduling/batcher_settings.h"
#include "serve/scheduling/job_table.h"

namespace inkstone::serve {

// Which jobs may go before their rank.
struct Urgency {
  bool deadlines = false, first_steps = false;
};

class QueueView {
 public:
  struct Place {
    const JobEntry* entry;
    // Its deadline or a later one is at risk.
    bool at_risk = false;
  };

  // Table and settings must not change as long as this is used.
  QueueView(const JobTable& table, const BatcherSettings& settings, double now);

  const std::vector<int>& rows_waiting() const { return rows_waiting_; }  // for a step, by bucket
  std::vector<double> weights() const;  // of the buckets, among those with rows that wait
  bool steps_wait() const;
  // The first of those that wait for this; null if none does.
  const Place* first(Phase phase) const;
  // The first that waits for its encode, unless that can wait too: where several clients have jobs,
  // one with many does not keep others waiting with texts for later.
  const Place* next_text() const;
  // The bucket's next step: by rank, as long as there is room; a job that does not fit lets smaller
  // ones pass.
  std::vector<const Place*> batch(size_t bucket, Urgency urgency) const;

 private:
  void find_risks(double now);
  bool goes_before(const Place& a, const Place& b, Urgency urgency) const;

  const JobTable& table_;
  const BatcherSettings& settings_;
  std::vector<Place> places_;  // by id
  std::vector<int> rows_waiting_;
};

}  // namespace inkstone::serve
