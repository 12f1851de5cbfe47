#include "serve/scheduling/run_chooser.h"

#include <algorithm>

namespace inkstone::serve {

namespace {

using Kind = Decision::Kind;

}  // namespace

RunChooser::RunChooser(const BatcherSettings& settings)
    : settings_(settings),
      side_runs_(settings.encode_share, settings.decode_share),
      borrowed_time_(settings.deadline_share, settings.first_step_share) {}

PlannedRun RunChooser::next(const JobTable& table, const LoadedModels& loaded, double now) {
  const QueueView queue(table, loaded, settings_, now);
  const QueueView::Place* encode = queue.next_text();
  const QueueView::Place* decode = queue.first(Phase::kDecode);
  std::optional<double> encode_seconds;
  if (encode) encode_seconds = table.side_run(*encode->entry).decision.seconds;
  const Kind side = side_runs_.next(encode_seconds, decode, queue.steps_wait());
  if (side == Kind::kEncode) return table.side_run(*encode->entry);
  if (side == Kind::kDecode) return table.side_run(*decode->entry);
  return queue.empty() ? PlannedRun{} : run_of(bucket_in_turn(table, loaded, queue), table, queue);
}

// Of a model that is not in memory, whatever it waits for; of others a step.
PlannedRun RunChooser::run_of(size_t bucket, const JobTable& table, const QueueView& queue) {
  if (queue.first(Phase::kDenoise, bucket)) return step_of(bucket, table, queue);
  const QueueView::Place* place = queue.first(Phase::kDecode, bucket);
  if (!place) place = queue.first(Phase::kEncode, bucket);
  return table.side_run(*place->entry);
}

void RunChooser::ran(Kind kind, double seconds) {
  side_runs_.ran(kind, seconds);
  if (kind == Kind::kStep) borrowed_time_.stepped(seconds);
}

size_t RunChooser::bucket_in_turn(const JobTable& table, const LoadedModels& loaded, const QueueView& queue) {
  const QueueView::Place* first = queue.most_urgent();
  std::optional<size_t> urgent;
  if (first && borrowed_time_.allowed().deadlines) urgent = first->entry->bucket;
  if (urgent) borrowed_time_.switched(2 * loaded.seconds(table.buckets()[*urgent].size.model));
  return turns_.next(table.buckets(), queue.waiting(), queue.weights(), urgent);
}

PlannedRun RunChooser::step_of(size_t bucket, const JobTable& table, const QueueView& queue) {
  const Urgency urgency = borrowed_time_.allowed();
  const std::vector<const QueueView::Place*> batch = queue.batch(bucket, urgency);
  borrowed_time_.begin_step(borrowed_by(batch, queue, bucket, urgency));
  PlannedRun run{{Kind::kStep}, bucket};
  for (const QueueView::Place* place : batch) {
    run.decision.jobs.push_back(place->entry->job.id);
    run.batch_rows += place->entry->job.rows;
  }
  run.decision.seconds = table.buckets()[bucket].times.step_seconds(run.batch_rows);
  turns_.pay(bucket, run.decision.seconds);
  return run;
}

BorrowedTime::Parts RunChooser::borrowed_by(const std::vector<const QueueView::Place*>& batch, const QueueView& queue,
                                            size_t bucket, Urgency urgency) const {
  if (bucket != turns_.turn()) return {1, 0};
  const std::vector<const QueueView::Place*> in_turn = queue.batch(bucket, {});
  double rows = 0, at_risk = 0, first = 0;
  for (const QueueView::Place* place : batch) {
    const int own = place->entry->job.rows;
    rows += own;
    if (std::ranges::count(in_turn, place) > 0) continue;
    (urgency.deadlines && place->at_risk ? at_risk : first) += own;
  }
  return {at_risk / rows, first / rows};
}

}  // namespace inkstone::serve
