#include "serve/scheduling/batcher.h"

#include <algorithm>
#include <utility>

#include "serve/scheduling/waves.h"

namespace inkstone::serve {

namespace {

using Kind = Decision::Kind;

}  // namespace

Batcher::Batcher(BatcherSettings settings) : settings_(settings), table_(settings.head_start), chooser_(settings) {}

void Batcher::add_bucket(BatchBucket bucket) { chooser_.begin_bucket(table_.add_bucket(std::move(bucket), run_)); }

const StepTimes& Batcher::times(const SizeBucket& bucket) const {
  return table_.buckets()[table_.known_bucket(bucket)].times;
}

Admission Batcher::consider(const BatchJob& job, double now) const {
  return AdmissionCheck(settings_, table_, run_, now).of(job);
}

Admission Batcher::admit(const BatchJob& job, double now) {
  const Admission admission = consider(job, now);
  if (admission.accepted()) table_.add(job);
  counts_.admitted += admission.accepted();
  counts_.refused[static_cast<size_t>(admission.refusal)] += !admission.accepted();
  return admission;
}

void Batcher::readmit(const BatchJob& job) { counts_.admitted += table_.add(job); }

std::map<JobId, double> Batcher::forecast(double now) const {
  return QueueForecast(settings_, table_, run_, now).ends({});
}

const Decision& Batcher::next(double now) {
  static const Decision kWaits;
  if (!run_.is(Kind::kNothing)) return kWaits;
  if (settings_.batching == Batching::kStep)
    run_ = chooser_.next(table_, loaded_, now);
  else
    run_ = next_of_wave(table_, settings_.batching == Batching::kOff);
  run_.since = now;
  return run_.decision;
}

void Batcher::stepped(double seconds) {
  if (!run_.is(Kind::kStep)) return;
  counts_.steps++;
  counts_.rows_stepped += run_.batch_rows;
  finish_run(seconds);
}

void Batcher::encoded(double seconds) {
  if (run_.is(Kind::kEncode)) finish_run(seconds);
}

void Batcher::decoded(double seconds) {
  if (!run_.is(Kind::kDecode)) return;
  const JobId job = run_.decision.jobs.front();
  finish_run(seconds);
  counts_.ended += table_.remove(job);
}

void Batcher::finish_run(double seconds) {
  const PlannedRun run = std::exchange(run_, {});
  table_.ran(run, seconds);
  chooser_.ran(run.decision.kind, seconds);
}

bool Batcher::did_not_fit() {
  if (!run_.is(Kind::kStep)) return false;
  const PlannedRun run = std::exchange(run_, {});
  if (run.decision.jobs.size() < 2) return false;
  int largest = 1;
  for (const JobId id : run.decision.jobs) {
    if (const JobEntry* entry = table_.find(id)) largest = std::max(largest, entry->job.rows);
  }
  table_.limit_rows(run.bucket, std::max(run.batch_rows / 2, largest));
  leave_wave(table_, run);
  return true;
}

bool Batcher::cancel(JobId id) {
  const bool was_there = table_.remove(id);
  counts_.cancelled += was_there;
  return was_there;
}

bool Batcher::fail(JobId id) {
  const bool was_there = table_.remove(id);
  counts_.failed += was_there;
  return was_there;
}

bool Batcher::withdraw(JobId id) {
  const bool was_there = table_.remove(id);
  counts_.admitted -= was_there;
  return was_there;
}

bool Batcher::cut_short(JobId id) {
  const JobEntry* entry = table_.find(id);
  if (!entry) return false;
  const bool begins = run_.is(Kind::kEncode) && run_.decision.jobs.front() == id;
  const bool between_legs = entry->job.leg > 0 && entry->phase == Phase::kEncode && !begins;
  table_.cut_short(id, (entry->fresh && !between_legs) || run_.steps(id) ? 1 : 0);
  return true;
}

void Batcher::correct(JobId id, int rows, int calls_left) { table_.correct(id, rows, calls_left); }

BatcherFigures Batcher::figures() const {
  BatcherFigures figures = counts_;
  for (const BatchBucket& bucket : table_.buckets()) figures.buckets.push_back({bucket.size, bucket.max_batch_rows});
  for (const auto& [id, entry] : table_.jobs()) {
    const bool waits = entry.phase == Phase::kDenoise;
    const bool steps = run_.steps(id);
    figures.jobs++;
    figures.rows += entry.job.rows;
    figures.wait_for_encode += entry.phase == Phase::kEncode;
    figures.wait_for_denoise += waits;
    figures.wait_for_decode += entry.phase == Phase::kDecode;
    figures.between_steps += waits && !(entry.fresh && entry.job.leg == 0) && !steps;
    figures.batch_rows += steps ? entry.job.rows : 0;
    figures.backlog_seconds += table_.alone_seconds(entry);
    figures.buckets[entry.bucket].jobs++;
    figures.buckets[entry.bucket].rows_waiting += waits ? entry.job.rows : 0;
  }
  return figures;
}

}  // namespace inkstone::serve
