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
  waiting_.insert(place_of(jobs_.emplace(submission.id, Held{submission, stats_.submitted++}).first));
  if (!key.empty()) keys_[key] = submission.id;
  return {Submitted::kNew, submission.id};
}

std::optional<Lease> MemoryBroker::lease(int rows, double now) {
  pass_time(now);
  const auto next =
      std::ranges::find_if(waiting_, [&](const Place& place) { return jobs_.at(place.id).submission.rows <= rows; });
  if (next == waiting_.end()) return std::nullopt;
  Held& held = jobs_.at(next->id);
  waiting_.erase(next);
  lease_until(held, now + settings_.lease_seconds);
  held.attempt++;
  stats_.deliveries++;
  return Lease{held.submission.id, held.attempt, held.deaths, held.submission.request, *held.until};
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
  if (standing == Standing::kGood) lease_until(jobs_.at(id), now + settings_.lease_seconds);
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
  if (cancelled_early_.size() < settings_.max_kept && cancelled_early_.insert(id).second)
    early_to_forget_.push_back({now + settings_.kept_seconds, id});
  return Cancelled::kUnknown;
}

std::vector<Ended> MemoryBroker::collect(double now) {
  pass_time(now);
  return std::exchange(ended_, {});
}

BrokerStats MemoryBroker::stats(double now) {
  pass_time(now);
  BrokerStats stats = stats_;
  stats.queued = static_cast<int>(waiting_.size());
  stats.leased = static_cast<int>(leases_.size());
  stats.kept = static_cast<int>(kept_.size());
  return stats;
}

bool MemoryBroker::waits(JobId id) const {
  const auto job = jobs_.find(id);
  return job != jobs_.end() && waiting_.contains(place_of(job));
}

void MemoryBroker::pass_time(double now) {
  while (!leases_.empty() && leases_.begin()->first <= now) put_back(jobs_.find(leases_.begin()->second), true, now);
  while (!to_forget_.empty() && to_forget_.front().first <= now) forget_oldest();
  while (!early_to_forget_.empty() && early_to_forget_.front().first <= now) {
    cancelled_early_.erase(early_to_forget_.front().second);
    early_to_forget_.pop_front();
  }
}

MemoryBroker::Place MemoryBroker::place_of(Jobs::const_iterator job) {
  return {-static_cast<int>(job->second.submission.priority), job->second.order, job->first};
}

void MemoryBroker::lease_until(Held& job, std::optional<double> until) {
  if (job.until) leases_.erase({*job.until, job.submission.id});
  job.until = until;
  if (until) leases_.insert({*until, job.submission.id});
}

void MemoryBroker::put_back(Jobs::iterator job, bool died, double now) {
  lease_until(job->second, std::nullopt);
  waiting_.insert(place_of(job));
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
  lease_until(job->second, std::nullopt);
  waiting_.erase(place_of(job));
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
