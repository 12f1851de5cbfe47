#include "serve/scheduling/batcher.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace inkstone::serve {
namespace {

constexpr std::ptrdiff_t kMaxPassing = 32;  // buckets

}  // namespace

Batcher::Batcher(BatcherSettings settings)
    : settings_(settings),
      encode_share_(settings.encode_share),
      decode_share_(settings.decode_share),
      deadline_share_(settings.deadline_share),
      first_step_share_(settings.first_step_share) {}

void Batcher::add_bucket(const SizeBucket& bucket, StepTimes times, int max_batch_rows, bool passing) {
  INKSTONE_CHECK(bucket_of(bucket) == buckets_.size(), "batcher: the bucket ", bucket.model, " ", bucket.width, " x ",
                 bucket.height, " is there already");
  INKSTONE_CHECK(max_batch_rows > 0, "batcher: a bucket of ", max_batch_rows, " rows");
  BucketState added{bucket, std::move(times), max_batch_rows, passing};
  if (passing && std::ranges::count(buckets_, true, &BucketState::passing) >= kMaxPassing) {
    for (size_t i = 0; i < buckets_.size(); i++) {
      if (!buckets_[i].passing || !idle(i)) continue;
      buckets_[i] = std::move(added);
      return;
    }
  }
  buckets_.push_back(std::move(added));
}

bool Batcher::idle(size_t bucket) const {
  if (running_.kind != Decision::Kind::kNothing && bucket_running_ == bucket) return false;
  return std::ranges::none_of(jobs_, [&](const auto& job) { return job.second.bucket == bucket; });
}

const StepTimes& Batcher::times(const SizeBucket& bucket) const {
  const size_t at = bucket_of(bucket);
  INKSTONE_CHECK(at < buckets_.size(), "batcher: no bucket for ", bucket.model, " ", bucket.width, " x ",
                 bucket.height);
  return buckets_[at].times;
}

size_t Batcher::bucket_of(const SizeBucket& bucket) const {
  return static_cast<size_t>(std::ranges::find(buckets_, bucket, &BucketState::bucket) - buckets_.begin());
}

Batcher::Entry Batcher::make(const BatchJob& job, size_t bucket) const {
  const int classes_above = static_cast<int>(Priority::kHigh) - static_cast<int>(job.priority);
  return {job, bucket, job.arrival + settings_.head_start * classes_above};
}

Batcher::Entry* Batcher::find(JobId id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

double Batcher::side_seconds(const Entry& entry) const {
  const StepTimes& times = buckets_[entry.bucket].times;
  return times.decode_seconds() + (entry.phase == Phase::kEncode ? times.encode_seconds() : 0);
}

double Batcher::alone_seconds(const Entry& entry) const {
  return entry.job.calls_left * buckets_[entry.bucket].times.step_seconds(entry.job.rows) + side_seconds(entry);
}

void Batcher::stepped(double seconds) {
  if (running_.kind != Decision::Kind::kStep) return;
  const Decision run = std::exchange(running_, {});
  buckets_[bucket_running_].times.stepped(batch_rows_, seconds);
  for (const JobId id : run.jobs) {
    Entry* entry = find(id);
    if (!entry) continue;  // cancelled, or failed, meanwhile
    entry->fresh = false;
    if (--entry->job.calls_left <= 0) entry->phase = Phase::kDecode;
  }
  encode_ran_ = decode_ran_ = false;
  encode_share_.others_took(seconds);
  decode_share_.others_took(seconds);
  deadline_share_.took(seconds * borrowed_share_.deadlines);
  deadline_share_.others_took(seconds * (1 - borrowed_share_.deadlines));
  first_step_share_.took(seconds * borrowed_share_.first_steps);
  first_step_share_.others_took(seconds * (1 - borrowed_share_.first_steps));
  counts_.steps++;
  counts_.rows_stepped += batch_rows_;
}

void Batcher::encoded(double seconds) {
  if (running_.kind != Decision::Kind::kEncode) return;
  const Decision run = std::exchange(running_, {});
  buckets_[bucket_running_].times.encoded(seconds);
  if (contended_) encode_share_.took(seconds);
  Entry* entry = find(run.jobs.front());
  if (entry) entry->phase = entry->job.calls_left > 0 ? Phase::kDenoise : Phase::kDecode;
}

void Batcher::decoded(double seconds) {
  if (running_.kind != Decision::Kind::kDecode) return;
  const Decision run = std::exchange(running_, {});
  buckets_[bucket_running_].times.decoded(seconds);
  if (contended_) decode_share_.took(seconds);
  counts_.ended += drop(run.jobs.front());
}

bool Batcher::did_not_fit() {
  if (running_.kind != Decision::Kind::kStep) return false;
  const Decision run = std::exchange(running_, {});
  if (run.jobs.size() < 2) return false;
  int largest = 1;
  for (const JobId id : run.jobs) largest = std::max(largest, find(id) ? find(id)->job.rows : 0);
  buckets_[bucket_running_].max_batch_rows = std::max(batch_rows_ / 2, largest);
  leave_wave(run.jobs, buckets_[bucket_running_].max_batch_rows);
  return true;
}

// Whoever does not fit any more waits for a wave to come.
void Batcher::leave_wave(const std::vector<JobId>& run, int max_batch_rows) {
  int room = max_batch_rows;
  for (const JobId id : run) {
    Entry* entry = find(id);
    if (!entry) continue;
    if (entry->job.rows > room)
      entry->in_wave = false;
    else
      room -= entry->job.rows;
  }
}

bool Batcher::drop(JobId id) { return jobs_.erase(id) > 0; }

bool Batcher::cancel(JobId id) {
  const bool was_there = drop(id);
  counts_.cancelled += was_there;
  return was_there;
}

bool Batcher::fail(JobId id) {
  const bool was_there = drop(id);
  counts_.failed += was_there;
  return was_there;
}

bool Batcher::withdraw(JobId id) {
  const bool was_there = drop(id);
  counts_.admitted -= was_there;
  return was_there;
}

bool Batcher::cut_short(JobId id) {
  Entry* entry = find(id);
  if (!entry) return false;
  const bool steps = running_.kind == Decision::Kind::kStep && std::ranges::count(running_.jobs, id) > 0;
  entry->job.calls_left = std::min(entry->job.calls_left, entry->fresh || steps ? 1 : 0);
  if (entry->phase == Phase::kDenoise && entry->job.calls_left == 0) entry->phase = Phase::kDecode;
  return true;
}

void Batcher::correct(JobId id, int rows, int calls_left) {
  Entry* entry = find(id);
  if (!entry) return;
  entry->job.rows = rows;
  entry->job.calls_left = calls_left;
}

BatcherFigures Batcher::figures() const {
  BatcherFigures figures = counts_;
  for (const BucketState& bucket : buckets_) figures.buckets.push_back({bucket.bucket, bucket.max_batch_rows});
  for (const auto& [id, entry] : jobs_) {
    const bool waits = entry.phase == Phase::kDenoise;
    const bool steps = running_.kind == Decision::Kind::kStep && std::ranges::count(running_.jobs, id) > 0;
    figures.jobs++;
    figures.rows += entry.job.rows;
    figures.wait_for_encode += entry.phase == Phase::kEncode;
    figures.wait_for_denoise += waits;
    figures.wait_for_decode += entry.phase == Phase::kDecode;
    figures.between_steps += waits && !entry.fresh && !steps;
    figures.batch_rows += steps ? entry.job.rows : 0;
    figures.backlog_seconds += alone_seconds(entry);
    figures.buckets[entry.bucket].jobs++;
    figures.buckets[entry.bucket].rows_waiting += waits ? entry.job.rows : 0;
  }
  return figures;
}

}  // namespace inkstone::serve
