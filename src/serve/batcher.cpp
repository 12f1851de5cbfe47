#include "serve/batcher.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace inkstone {
namespace {

constexpr std::ptrdiff_t kMostPassing = 32;  // lanes

}  // namespace

Batcher::Batcher(BatcherSettings settings)
    : settings_(settings),
      text_share_(settings.text_share),
      pixels_share_(settings.pixels_share),
      deadline_share_(settings.deadline_share),
      first_step_share_(settings.first_step_share) {}

void Batcher::add_lane(const Lane& lane, StepTimes times, int most_rows, bool passing) {
  INKSTONE_CHECK(lane_of(lane) == lanes_.size(), "batcher: the lane ", lane.model, " ", lane.width, " x ", lane.height,
                 " is there already");
  INKSTONE_CHECK(most_rows > 0, "batcher: a lane of ", most_rows, " rows");
  LaneState added{lane, std::move(times), most_rows, passing};
  if (passing && std::ranges::count(lanes_, true, &LaneState::passing) >= kMostPassing) {
    for (size_t i = 0; i < lanes_.size(); i++) {
      if (!lanes_[i].passing || !idle(i)) continue;
      lanes_[i] = std::move(added);
      return;
    }
  }
  lanes_.push_back(std::move(added));
}

bool Batcher::idle(size_t lane) const {
  if (running_.kind != Decision::Kind::kNothing && lane_running_ == lane) return false;
  return std::ranges::none_of(jobs_, [&](const auto& job) { return job.second.lane == lane; });
}

const StepTimes& Batcher::times(const Lane& lane) const {
  const size_t at = lane_of(lane);
  INKSTONE_CHECK(at < lanes_.size(), "batcher: no lane for ", lane.model, " ", lane.width, " x ", lane.height);
  return lanes_[at].times;
}

size_t Batcher::lane_of(const Lane& lane) const {
  return static_cast<size_t>(std::ranges::find(lanes_, lane, &LaneState::lane) - lanes_.begin());
}

Batcher::Entry Batcher::make(const BatchJob& job, size_t lane) const {
  const int classes_above = static_cast<int>(Priority::kHigh) - static_cast<int>(job.priority);
  return {job, lane, job.arrival + settings_.head_start * classes_above};
}

Batcher::Entry* Batcher::find(JobId id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

double Batcher::side_seconds(const Entry& entry) const {
  const StepTimes& times = lanes_[entry.lane].times;
  return times.vae_seconds() + (entry.phase == Phase::kText ? times.text_seconds() : 0);
}

double Batcher::alone_seconds(const Entry& entry) const {
  return entry.job.calls_left * lanes_[entry.lane].times.step_seconds(entry.job.rows) + side_seconds(entry);
}

void Batcher::stepped(double seconds) {
  if (running_.kind != Decision::Kind::kStep) return;
  const Decision run = std::exchange(running_, {});
  lanes_[lane_running_].times.stepped(rows_running_, seconds);
  for (const JobId id : run.jobs) {
    Entry* entry = find(id);
    if (!entry) continue;  // cancelled, or failed, meanwhile
    entry->fresh = false;
    if (--entry->job.calls_left <= 0) entry->phase = Phase::kPixels;
  }
  text_ran_ = pixels_ran_ = false;
  text_share_.others_took(seconds);
  pixels_share_.others_took(seconds);
  deadline_share_.took(seconds * favour_.deadlines);
  deadline_share_.others_took(seconds * (1 - favour_.deadlines));
  first_step_share_.took(seconds * favour_.first_steps);
  first_step_share_.others_took(seconds * (1 - favour_.first_steps));
  counts_.steps++;
  counts_.rows_stepped += rows_running_;
}

void Batcher::encoded(double seconds) {
  if (running_.kind != Decision::Kind::kEncode) return;
  const Decision run = std::exchange(running_, {});
  lanes_[lane_running_].times.encoded(seconds);
  if (contended_) text_share_.took(seconds);
  Entry* entry = find(run.jobs.front());
  if (entry) entry->phase = entry->job.calls_left > 0 ? Phase::kSteps : Phase::kPixels;
}

void Batcher::decoded(double seconds) {
  if (running_.kind != Decision::Kind::kDecode) return;
  const Decision run = std::exchange(running_, {});
  lanes_[lane_running_].times.decoded(seconds);
  if (contended_) pixels_share_.took(seconds);
  counts_.ended += drop(run.jobs.front());
}

bool Batcher::did_not_fit() {
  if (running_.kind != Decision::Kind::kStep) return false;
  const Decision run = std::exchange(running_, {});
  if (run.jobs.size() < 2) return false;
  int largest = 1;
  for (const JobId id : run.jobs) largest = std::max(largest, find(id) ? find(id)->job.rows : 0);
  lanes_[lane_running_].most_rows = std::max(rows_running_ / 2, largest);
  leave_wave(run.jobs, lanes_[lane_running_].most_rows);
  return true;
}

// Whoever does not fit any more waits for a wave to come.
void Batcher::leave_wave(const std::vector<JobId>& run, int most_rows) {
  int room = most_rows;
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
  counts_.let_in -= was_there;
  return was_there;
}

bool Batcher::cut_short(JobId id) {
  Entry* entry = find(id);
  if (!entry) return false;
  const bool steps = running_.kind == Decision::Kind::kStep && std::ranges::count(running_.jobs, id) > 0;
  entry->job.calls_left = std::min(entry->job.calls_left, entry->fresh || steps ? 1 : 0);
  if (entry->phase == Phase::kSteps && entry->job.calls_left == 0) entry->phase = Phase::kPixels;
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
  for (const LaneState& lane : lanes_) figures.lanes.push_back({lane.lane, lane.most_rows});
  for (const auto& [id, entry] : jobs_) {
    const bool waits = entry.phase == Phase::kSteps;
    const bool steps = running_.kind == Decision::Kind::kStep && std::ranges::count(running_.jobs, id) > 0;
    figures.jobs++;
    figures.rows += entry.job.rows;
    figures.wait_for_text += entry.phase == Phase::kText;
    figures.wait_for_steps += waits;
    figures.wait_for_pixels += entry.phase == Phase::kPixels;
    figures.parked += waits && !entry.fresh && !steps;
    figures.rows_now += steps ? entry.job.rows : 0;
    figures.backlog_seconds += alone_seconds(entry);
    figures.lanes[entry.lane].jobs++;
    figures.lanes[entry.lane].rows_waiting += waits ? entry.job.rows : 0;
  }
  return figures;
}

}  // namespace inkstone
