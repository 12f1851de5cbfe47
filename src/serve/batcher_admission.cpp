// Who is let in: only what there is room for, and what is forecast to end in time.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "serve/batcher.h"
#include "serve/forecast.h"

namespace inkstone {
namespace {

constexpr double kLeastWait = 0.05;

}  // namespace

Admission Batcher::admit(const BatchJob& job, double now) {
  const Admission admission = consider(job, now);
  if (admission.accepted()) jobs_.emplace(job.id, make(job, lane_of(job.lane)));
  counts_.let_in += admission.accepted();
  counts_.refused[static_cast<size_t>(admission.refusal)] += !admission.accepted();
  return admission;
}

Admission Batcher::consider(const BatchJob& job, double now) {
  const Refusal room = room_for(job);
  if (room == Refusal::kQueueFull) return {room, 0, seconds_to_room(now)};
  if (room != Refusal::kNone) return {room};
  const bool by_step = settings_.batching == Batching::kStep;
  const std::map<JobId, double> before = job.deadline ? ends(now, by_step) : std::map<JobId, double>();
  jobs_.emplace(job.id, make(job, lane_of(job.lane)));
  const std::map<JobId, double> with = ends(now, job.deadline && by_step);
  const double end = with.at(job.id);
  const bool late = job.deadline && breaks_a_deadline(before, with, now);
  drop(job.id);
  if (!late && end - now <= settings_.most_wait) return {Refusal::kNone, end};
  const double over =
      late ? now + (end - now) * settings_.deadline_margin - *job.deadline : end - now - settings_.most_wait;
  return {late ? Refusal::kDeadline : Refusal::kTooLong, 0, std::max(over, seconds_to_room(now))};
}

double Batcher::readmit(const BatchJob& job, double now) {
  const size_t lane = lane_of(job.lane);
  INKSTONE_CHECK(lane < lanes_.size(), "batcher: no lane for ", job.lane.model, " ", job.lane.width, " x ",
                 job.lane.height);
  counts_.let_in += jobs_.emplace(job.id, make(job, lane)).second;
  return ends(now, false).at(job.id);
}

Refusal Batcher::room_for(const BatchJob& job) const {
  const size_t lane = lane_of(job.lane);
  if (jobs_.contains(job.id)) return Refusal::kKnown;
  if (lane == lanes_.size()) return Refusal::kNoLane;
  if (job.rows < 1 || job.rows > lanes_[lane].most_rows) return Refusal::kTooManyRows;
  int rows = job.rows;
  for (const auto& [id, entry] : jobs_) rows += entry.job.rows;
  const bool full = static_cast<int>(jobs_.size()) >= settings_.most_jobs || rows > settings_.most_rows;
  return full ? Refusal::kQueueFull : Refusal::kNone;
}

double Batcher::seconds_to_room(double now) const {
  double first = std::numeric_limits<double>::infinity();
  for (const auto& [id, end] : ends(now, false)) first = std::min(first, end - now);
  return jobs_.empty() ? 0 : std::max(first, kLeastWait);
}

std::vector<const Batcher::Entry*> Batcher::in_order(bool deadlines_first) const {
  std::vector<const Entry*> order;
  for (const auto& [id, entry] : jobs_) order.push_back(&entry);
  const bool steps = settings_.batching == Batching::kStep;
  std::ranges::sort(order, [&](const Entry* a, const Entry* b) {
    if (!steps && a->in_wave != b->in_wave) return a->in_wave;
    if (!steps && a->job.arrival != b->job.arrival) return a->job.arrival < b->job.arrival;
    if (deadlines_first && a->job.deadline != b->job.deadline) {
      if (!a->job.deadline || !b->job.deadline) return a->job.deadline.has_value();
      return *a->job.deadline < *b->job.deadline;
    }
    return goes_before(*a, *b, {});
  });
  return order;
}

std::map<JobId, double> Batcher::ends(double now, bool deadlines_first) const {
  std::vector<ForecastLane> lanes;
  for (const LaneState& lane : lanes_) lanes.push_back({&lane.times, lane.most_rows});
  const std::vector<const Entry*> order = in_order(deadlines_first);
  std::vector<ForecastJob> jobs;
  for (const Entry* entry : order) {
    const bool first = deadlines_first && entry->job.deadline;
    jobs.push_back({entry->lane, entry->job.rows, entry->job.calls_left, entry->phase == Phase::kText, first});
  }
  const bool off = settings_.batching == Batching::kOff;
  const std::vector<double> seconds = settings_.batching == Batching::kStep
                                          ? forecast_steps(lanes, jobs, settings_.deadline_share)
                                          : forecast_waves(lanes, jobs, off ? 1 : jobs.size());
  // What runs now is still counted with what is left, so it is all counted from the run's start.
  const double start = std::max(running_.seconds > 0 ? running_since_ : now, now - running_.seconds);
  std::map<JobId, double> ends;
  for (size_t i = 0; i < order.size(); i++) ends[order[i]->job.id] = std::max(now, start + seconds[i]);
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

}  // namespace inkstone
