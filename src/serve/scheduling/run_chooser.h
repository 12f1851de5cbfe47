// Decides with Batching::kStep what runs next: an encode or a decode, if its share allows it;
// otherwise a step of the bucket whose turn it is. It remembers how the time was shared so far.
#pragma once

#include "serve/scheduling/borrowed_time.h"
#include "serve/scheduling/bucket_turns.h"
#include "serve/scheduling/queue_view.h"
#include "serve/scheduling/side_runs.h"

namespace inkstone::serve {

class RunChooser {
 public:
  explicit RunChooser(const BatcherSettings& settings);
  void begin_bucket(size_t bucket) { turns_.begin(bucket); }  // a new one has this number
  PlannedRun next(const JobTable& table, const LoadedModels& loaded, double now);
  void ran(Decision::Kind kind, double seconds);  // what was decided last

 private:
  size_t bucket_in_turn(const JobTable& table, const LoadedModels& loaded, const QueueView& queue);
  PlannedRun run_of(size_t bucket, const JobTable& table, const QueueView& queue);
  PlannedRun step_of(size_t bucket, const JobTable& table, const QueueView& queue);
  BorrowedTime::Parts borrowed_by(const std::vector<const QueueView::Place*>& batch, const QueueView& queue,
                                  size_t bucket, Urgency urgency) const;

  BatcherSettings settings_;
  SideRuns side_runs_;
  BucketTurns turns_;
  BorrowedTime borrowed_time_;
};

}  // namespace inkstone::serve
