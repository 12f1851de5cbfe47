// Which jobs are admitted: those that fit into the queue and are forecast to end in time.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "serve/scheduling/batcher.h"
#include "serve/scheduling/forecast.h"

namespace inkstone::serve {
namespace {

constexpr double kMinWait = 0.05;

}  // namespace

Admission Batcher::admit(const BatchJob& job, double now) {
  const Admission admission = consider(job, now);
  if (admission.accepted()) jobs_.emplace(job.id, make(job, bucket_of(job.bucket)));
  counts_.admitted += admission.accepted();
  counts_.refused[static_cast<size_t>(admission.refusal)] += !admission.accepted();
  return admission;
}

Admission Batcher::consider(const BatchJob& job, double now) {
  const Refusal room = room_for(job);
  if (room == Refusal::kQueueFull) return {room, 0, seconds_to_room(now)};
  if (room != Refusal::kNone) return {room};
  const bool by_step = settings_.batching == Batching::kStep;
  const std::map<JobId, double> before = job.deadline ? ends(now, by_step) : std::map<JobId, double>();
  jobs_.emplace(job.id, make(job, bucket_of(job.bucket)));
  const std::map<JobId, double> with = ends(now, job.deadline && by_step);
  const double end = with.at(job.id);
  const bool late = job.deadline && breaks_a_deadline(before, with, now);
  drop(job.id);
  if (!late && end - now <= settings_.max_wait) return {Refusal::kNone, end};
  const double over =
      late ? now + (end - now) * settings_.deadline_margin - *job.deadline : end - now - settings_.max_wait;
  return {late ? Refusal::kDeadline : Refusal::kTooLong, 0, std::max(over, seconds_to_room(now))};
}

double Batcher::readmit(const BatchJob& job, double now) {
  const size_t bucket = bucket_of(job.bucket);
  INKSTONE_CHECK(bucket < buckets_.size(), "batcher: no bucket for ", job.bucket.model, " ", job.bucket.width, " x ",
                 job.bucket.height);
  counts_.admitted += jobs_.emplace(job.id, make(job, bucket)).second;
  return ends(now, false).at(job.id);
}

Refusal Batcher::room_for(const BatchJob& job) const {
  const size_t bucket = bucket_of(job.bucket);
  if (jobs_.contains(job.id)) return Refusal::kKnown;
  if (bucket == buckets_.size()) return Refusal::kNoBucket;
  if (job.rows < 1 || job.rows > buckets_[bucket].max_batch_rows) return Refusal::kTooManyRows;
  int rows = job.rows;
  for (const auto& [id, entry] : jobs_) rows += entry.job.rows;
  const bool full = static_cast<int>(jobs_.size()) >= settings_.max_jobs || rows > settings_.max_rows;
  return full ? Refusal::kQueueFull : Refusal::kNone;
}

double Batcher::seconds_to_room(double now) const {
  double first = std::numeric_limits<double>::infinity();
  for (const auto& [id, end] : ends(now, false)) first = std::min(first, end - now);
  return jobs_.empty() ? 0 : std::max(first, kMinWait);
}

std::vector<const Batcher::Entry*> Batcher::ranked(bool deadlines_first) const {
  std::vector<const Entry*> ranking;
  for (const auto& [id, entry] : jobs_) ranking.push_back(&entry);
  const bool steps = settings_.batching == Batching::kStep;
  std::ranges::sort(ranking, [&](const Entry* a, const Entry* b) {
    if (!steps && a->in_wave != b->in_wave) return a->in_wave;
    if (!steps && a->job.arrival != b->job.arrival) return a->job.arrival < b->job.arrival;
    if (deadlines_first && a->job.deadline != b->job.deadline) {
      if (!a->job.deadline || !b->job.deadline) return a->job.deadline.has_value();
      return *a->job.deadline < *b->job.deadline;
    }
    return goes_before(*a, *b, {});
  });
  return ranking;
}

std::map<JobId, double> Batcher::ends(double now, bool deadlines_first) const {
  std::vector<ForecastBucket> buckets;
  for (const BucketState& bucket : buckets_) buckets.push_back({&bucket.times, bucket.max_batch_rows});
  const std::vector<const Entry*> ranking = ranked(deadlines_first);
  std::vector<ForecastJob> jobs;
  for (const Entry* entry : ranking) {
    const bool first = deadlines_first && entry->job.deadline;
    jobs.push_back({entry->bucket, entry->job.rows, entry->job.calls_left, entry->phase == Phase::kEncode, first});
  }
  const bool off = settings_.batching == Batching::kOff;
  const std::vector<double> seconds = settings_.batching == Batching::kStep
                                          ? forecast_steps(buckets, jobs, settings_.deadline_share)
                                          : forecast_waves(buckets, jobs, off ? 1 : jobs.size());
  // What runs now is still counted with what is left, so it is all counted from the run's start.
  const double start = std::max(running_.seconds > 0 ? running_since_ : now, now - running_.seconds);
  std::map<JobId, double> ends;
  for (size_t i = 0; i < ranking.size(); i++) ends[ranking[i]->job.id] = std::max(now, start + seconds[i]);
  return ends;
}

// Its own, or one that could be kept before.
bool Batcher::breaks_a_deadline(const std::map<JobId, double>& before, const std::map<JobId, double>& with,
                                double now) const {
  return std::ranges::any_of(with, [&](const auto& job) {
    const auto& [id, end] = job;
    const std::optional<double>& deadline = jobs_.at(id).job.deadline;
    if (!deadline || now + (end - now) * settings_.deadline_margin <= *deadline) return false;
    const auto old = before.find(id);
    return old == before.end() || (old->second <= *deadline && old->second < end);
  });
}

}  // namespace inkstone::serve
