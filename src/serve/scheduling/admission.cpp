#include "serve/scheduling/admission.h"

#include <algorithm>
#include <limits>

namespace inkstone::serve {
namespace {

constexpr double kMinWait = 0.05;

}  // namespace

Admission AdmissionCheck::of(const BatchJob& job) const {
  const Refusal room = room_for(job);
  if (room == Refusal::kQueueFull) return {room, 0, 0, seconds_to_room()};
  if (room != Refusal::kNone) return {room};
  const bool by_step = settings_.batching == Batching::kStep;
  const JobEntry newcomer = table_.placed(job);
  const bool timed = job.deadline.has_value();
  const std::map<JobId, double> before = timed ? forecast_.ends({by_step}) : std::map<JobId, double>();
  const std::map<JobId, double> with = forecast_.ends({timed && by_step, &newcomer});
  const double seconds = with.at(job.id) - now_, wait = std::max(0.0, seconds - table_.alone_seconds(newcomer));
  const bool late = timed && breaks_a_deadline(newcomer, before, with);
  const bool waits_too_long = wait > settings_.max_wait && !job.follows && !table_.jobs().empty();
  if (!late && !waits_too_long) return {Refusal::kNone, with.at(job.id), wait};
  const double over = late ? now_ + seconds * settings_.deadline_margin - *job.deadline : wait - settings_.max_wait;
  // Where nobody is before it, waiting does not bring its deadline nearer.
  const double retry = table_.jobs().empty() ? 0 : std::max(over, seconds_to_room());
  return {late ? Refusal::kDeadline : Refusal::kTooLong, 0, wait, retry};
}

Refusal AdmissionCheck::room_for(const BatchJob& job) const {
  const std::optional<size_t> bucket = table_.bucket_of(job.bucket);
  if (table_.find(job.id)) return Refusal::kKnown;
  if (!bucket) return Refusal::kNoBucket;
  if (job.rows < 1 || std::min(job.rows, kImageRows) > table_.buckets()[*bucket].max_batch_rows)
    return Refusal::kTooManyRows;
  for (const BatchLeg& leg : job.later) {
    const std::optional<size_t> its = table_.bucket_of(leg.bucket);
    if (!its) return Refusal::kNoBucket;
    if (std::min(leg.rows, kImageRows) > table_.buckets()[*its].max_batch_rows) return Refusal::kTooManyRows;
  }
  int rows = job.rows;
  for (const auto& [id, entry] : table_.jobs()) rows += entry.job.rows;
  const bool full = static_cast<int>(table_.jobs().size()) >= settings_.max_jobs || rows > settings_.max_rows;
  return full ? Refusal::kQueueFull : Refusal::kNone;
}

// Until the first job has ended.
double AdmissionCheck::seconds_to_room() const {
  if (table_.jobs().empty()) return 0;
  double first = std::numeric_limits<double>::infinity();
  for (const auto& [id, end] : forecast_.ends({})) first = std::min(first, end - now_);
  return std::max(first, kMinWait);
}

// Its own, or one that could be kept before. Of another client only one that may pass: with many
// deadlines nobody can shut others out.
bool AdmissionCheck::breaks_a_deadline(const JobEntry& newcomer, const std::map<JobId, double>& before,
                                       const std::map<JobId, double>& with) const {
  return std::ranges::any_of(with, [&](const auto& job) {
    const auto& [id, end] = job;
    const JobEntry* entry = table_.find(id);
    const std::optional<double>& deadline = (entry ? *entry : newcomer).job.deadline;
    if (!deadline || now_ + (end - now_) * settings_.deadline_margin <= *deadline) return false;
    const bool others = entry && entry->job.client != newcomer.job.client;
    if (others && !table_.may_pass(entry->turn, &newcomer)) return false;
    const auto old = before.find(id);
    return old == before.end() || (old->second <= *deadline && old->second < end);
  });
}

}  // namespace inkstone::serve
