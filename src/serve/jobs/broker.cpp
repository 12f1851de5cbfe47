#include "serve/jobs/broker.h"

#include <algorithm>
#include <utility>

namespace inkstone::serve {

Receipt MemoryBroker::submit(const Submission& submission, double now) {
  pass_time(now);
  if (jobs_.contains(submission.id) || kept_.contains(submission.id)) return {Submitted::kKnown, submission.id};
  const std::string& key = submission.idempotency;
  if (const auto known = keys_.find(key); !key.empty() && known != keys_.end()) {
    const JobId id = known->second;
    const auto held = jobs_.find(id);
    const auto kept = kept_.find(id);
    const std::string& request = held != jobs_.end() ? held->second.submission.request : kept->second.request;
    if (request != submission.request) return {Submitted::kConflict, id};
    if (held != jobs_.end()) return {Submitted::kSame, id};
    return {Submitted::kEnded, id, &kept->second.ended};
  }
  if (cancelled_early_.erase(submission.id)) return {Submitted::kCancelled, submission.id};
  jobs_.emplace(submission.id, Held{submission, stats_.submitted++});
  if (!key.empty()) keys_[key] = submission.id;
  return {Submitted::kNew, submission.id};
}

std::optional<Lease> MemoryBroker::lease(int rows, double now) {
  pass_time(now);
  const auto goes_before = [](const Held& a, const Held& b) {
    if (a.submission.priority != b.submission.priority) return a.submission.priority > b.submission.priority;
    return a.order < b.order;
  };
  Held* next_in_queue = nullptr;
  for (auto& [id, held] : jobs_) {
    if (held.until || held.submission.rows > rows) continue;
    if (!next_in_queue || goes_before(held, *next_in_queue)) next_in_queue = &held;
  }
  if (!next_in_queue) return std::nullopt;
  next_in_queue->until = now + settings_.lease_seconds;
  next_in_queue->attempt++;
  stats_.deliveries++;
  return Lease{next_in_queue->submission.id, next_in_queue->attempt, next_in_queue->deaths,
               next_in_queue->submission.request, *next_in_queue->until};
}

Standing MemoryBroker::standing(JobId id, int attempt) const {
  if (const auto held = jobs_.find(id); held != jobs_.end()) {
    return held->second.until && held->second.attempt == attempt ? Standing::kGood : Standing::kStale;
  }
  const auto kept = kept_.find(id);
  if (kept == kept_.end()) return Standing::kUnknown;
  return kept->second.ended.end == End::kCancelled ? Standing::kCancelled : Standing::kStale;
}

Standing MemoryBroker::extend(JobId id, int attempt, double now) {
  pass_time(now);
  const Standing standing = this->standing(id, attempt);
  if (standing == Standing::kGood) jobs_.at(id).until = now + settings_.lease_seconds;
  return standing;
}

Standing MemoryBroker::finish(JobId id, int attempt, End how, std::string result, double now) {
  pass_time(now);
  const Standing standing = this->standing(id, attempt);
  const bool over = how != End::kDied && how != End::kReturned;
  if (standing != Standing::kGood) {
    stats_.stale_results += over;
    return standing;
  }
  const auto job = jobs_.find(id);
  if (over) end(job, how, std::move(result), now);
  if (!over) put_back(job, how == End::kDied, now);
  return standing;
}

Cancelled MemoryBroker::cancel(JobId id, double now) {
  pass_time(now);
  if (const auto job = jobs_.find(id); job != jobs_.end()) {
    end(job, End::kCancelled, "", now);
    return Cancelled::kNow;
  }
  if (const auto kept = kept_.find(id); kept != kept_.end()) {
    return kept->second.ended.end == End::kCancelled ? Cancelled::kBefore : Cancelled::kTooLate;
  }
  if (cancelled_early_.size() < settings_.max_kept) cancelled_early_[id] = now + settings_.kept_seconds;
  return Cancelled::kUnknown;
}

std::vector<Ended> MemoryBroker::collect(double now) {
  pass_time(now);
  return std::exchange(ended_, {});
}

BrokerStats MemoryBroker::stats(double now) {
  pass_time(now);
  BrokerStats stats = stats_;
  for (const auto& [id, held] : jobs_) (held.until ? stats.leased : stats.queued)++;
  stats.kept = static_cast<int>(kept_.size());
  return stats;
}

void MemoryBroker::pass_time(double now) {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const auto next = std::next(job);
    if (job->second.until && *job->second.until <= now) put_back(job, true, now);
    job = next;
  }
  while (!to_forget_.empty() && to_forget_.front().first <= now) forget_oldest();
  std::erase_if(cancelled_early_, [&](const auto& early) { return early.second <= now; });
}

void MemoryBroker::put_back(Jobs::iterator job, bool died, double now) {
  job->second.until.reset();
  stats_.deaths += died;
  job->second.deaths += died;
  if (job->second.deaths > settings_.max_deaths) end(job, End::kPoison, "", now);
}

void MemoryBroker::end(Jobs::iterator job, End how, std::string result, double now) {
  stats_.done += how == End::kDone;
  stats_.failed += how == End::kFailed;
  stats_.cancelled += how == End::kCancelled;
  stats_.poison += how == End::kPoison;
  const JobId id = job->first;
  Submission& submission = job->second.submission;
  const double until = now + settings_.kept_seconds;
  ended_.push_back({id, how, result});
  kept_[id] = {{id, how, std::move(result)}, std::move(submission.request), std::move(submission.idempotency), until};
  to_forget_.push_back({until, id});
  jobs_.erase(job);
  if (kept_.size() > settings_.max_kept) forget_oldest();
}

void MemoryBroker::forget_oldest() {
  const auto kept = kept_.find(to_forget_.front().second);
  keys_.erase(kept->second.idempotency);
  kept_.erase(kept);
  to_forget_.pop_front();
}

}  // namespace inkstone::serve
