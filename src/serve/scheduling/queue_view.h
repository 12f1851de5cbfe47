// The queue as it stands at one decision with Batching::kStep: what waits, in which order, and
// whose deadline is at risk.
#pragma once

#include <vector>

#include "serve/scheduling/batcher_settings.h"
#include "serve/scheduling/bucket_turns.h"
#include "serve/scheduling/job_table.h"
#include "serve/scheduling/loaded_models.h"

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

  // Table, models and settings must not change as long as this is used.
  QueueView(const JobTable& table, const LoadedModels& loaded, const BatcherSettings& settings, double now);

  std::vector<Waiting> waiting() const;  // by bucket
  std::vector<double> weights() const;   // of the buckets, among those in which something waits
  bool empty() const { return places_.empty(); }
  // Of models that are in memory.
  bool steps_wait() const;
  // The first of those that wait for this, whose model is in memory; null if none does.
  const Place* first(Phase phase) const;
  // The first of those that wait for it in this bucket, wherever its model is.
  const Place* first(Phase phase, size_t bucket) const;
  // The first whose next step should not wait for its turn, whatever model it needs; null: none.
  const Place* most_urgent() const;
  // The first that waits for its encode, unless that can wait too: where several clients have jobs,
  // one with many does not keep others waiting with texts for later.
  const Place* next_text() const;
  // The bucket's next step: by rank, as long as there is room; a job that does not fit lets smaller
  // ones pass.
  std::vector<const Place*> batch(size_t bucket, Urgency urgency) const;

 private:
  void find_risks(double now);
  bool goes_before(const Place& a, const Place& b, Urgency urgency) const;

  bool is_loaded(size_t bucket) const { return loaded_.has(table_.buckets()[bucket].size.model); }

  const JobTable& table_;
  const LoadedModels& loaded_;
  const BatcherSettings& settings_;
  std::vector<Place> places_;  // by id
  // By bucket: for a step, and in all.
  std::vector<int> rows_waiting_, rows_;
  bool all_loaded_ = true;  // the models of all jobs are in memory
};

}  // namespace inkstone::serve
