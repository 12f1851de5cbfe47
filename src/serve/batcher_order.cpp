// Who goes next: between steps a text or a picture, if its share allows; else a step of the lane whose turn it is.
#include <algorithm>
#include <limits>

#include "serve/batcher.h"

namespace inkstone {
namespace {

constexpr double kEarly = 2.5;        // others come between: texts, pictures, first steps
constexpr double kLeastDeficit = -8;  // of turns: what a lane that went first for its deadlines owes at most

}  // namespace

const Decision& Batcher::next(double now) {
  static const Decision kWaits;
  if (running_.kind != Decision::Kind::kNothing) return kWaits;
  running_ = settings_.batching == Batching::kStep ? next_run(now) : next_of_wave();
  running_since_ = now;
  return running_;
}

Decision Batcher::next_run(double now) {
  look_around(now);
  const bool steps_wait = std::ranges::any_of(lanes_, [](const LaneState& lane) { return lane.rows_waiting > 0; });
  contended_ = steps_wait;
  if (const Entry* entry = side_job(steps_wait)) return side_run(*entry);
  return steps_wait ? step_of(lane_in_turn()) : Decision{};
}

void Batcher::look_around(double now) {
  std::vector<Entry*> timed;
  for (LaneState& lane : lanes_) lane.rows_waiting = 0;
  for (auto& [id, entry] : jobs_) {
    entry.pressed = false;
    if (entry.phase == Phase::kSteps) lanes_[entry.lane].rows_waiting += entry.job.rows;
    if (entry.job.deadline && now + alone_seconds(entry) <= *entry.job.deadline) timed.push_back(&entry);
  }
  press(timed, now);
}

// A deadline is at risk when the deadlines' share of the time just suffices for all that is due until then. Within a
// lane jobs step together, but none of them in less time than alone; lanes go one after the other.
void Batcher::press(std::vector<Entry*>& timed, double now) const {
  struct Due {
    double together = 0, longest = 0;
  };
  std::ranges::stable_sort(timed, {}, [](const Entry* entry) { return *entry->job.deadline; });
  std::vector<Due> lanes(lanes_.size());
  double due = 0;
  size_t pressed = 0;
  for (size_t i = 0; i < timed.size(); i++) {
    const Entry& entry = *timed[i];
    const LaneState& lane = lanes_[entry.lane];
    const double steps = entry.job.calls_left * lane.times.step_seconds(lane.most_rows);
    Due& own = lanes[entry.lane];
    due -= std::max(own.together, own.longest);
    own.together += steps * entry.job.rows / lane.most_rows;
    own.longest = std::max(own.longest, steps);
    due += std::max(own.together, own.longest) + side_seconds(entry) / settings_.pixels_share;
    if (now + kEarly * due / settings_.deadline_share >= *entry.job.deadline) pressed = i + 1;
  }
  for (size_t i = 0; i < pressed; i++) timed[i]->pressed = true;
}

bool Batcher::goes_before(const Entry& a, const Entry& b, Urgency urgency) const {
  const auto first_step = [this](const Entry& entry) {
    return settings_.first_step_first && entry.fresh && entry.job.priority != Priority::kLow;
  };
  if (urgency.deadlines) {
    if (a.pressed != b.pressed) return a.pressed;
    if (a.pressed && *a.job.deadline != *b.job.deadline) return *a.job.deadline < *b.job.deadline;
  }
  if (urgency.first_steps && first_step(a) != first_step(b)) return first_step(a);
  if (a.turn != b.turn) return a.turn < b.turn;
  return a.job.id < b.job.id;
}

const Batcher::Entry* Batcher::foremost(Phase phase) const {
  const Entry* foremost = nullptr;
  for (const auto& [id, entry] : jobs_) {
    if (entry.phase == phase && (!foremost || goes_before(entry, *foremost, {true, true}))) foremost = &entry;
  }
  return foremost;
}

// While steps wait each kind keeps within its share: between two steps one picture at most, and one text or as many as
// the share of one step affords. The two kinds take turns.
const Batcher::Entry* Batcher::side_job(bool steps_wait) const {
  const Entry* text = foremost(Phase::kText);
  const Entry* pixels = foremost(Phase::kPixels);
  if (steps_wait) {
    const bool one_text = !text_ran_ && text_share_.may();
    if (text && !one_text && !text_share_.affords(lanes_[text->lane].times.text_seconds())) text = nullptr;
    if (pixels_ran_ || !pixels_share_.may()) pixels = nullptr;
  }
  if (text && pixels) return text_ran_last_ ? pixels : text;
  return text ? text : pixels;
}

Decision Batcher::side_run(const Entry& entry) {
  const bool text = entry.phase == Phase::kText;
  const StepTimes& times = lanes_[entry.lane].times;
  (text ? text_ran_ : pixels_ran_) = true;
  text_ran_last_ = text;
  lane_running_ = entry.lane;
  if (text) return {Decision::Kind::kEncode, {entry.job.id}, times.text_seconds()};
  return {Decision::Kind::kDecode, {entry.job.id}, times.vae_seconds()};
}

// Deficit round robin: a lane's turn brings it a quantum of seconds, steps are paid from it, and what is left of it
// when nothing waits is lost. A deadline at risk does not wait for its lane's turn, but is paid for too.
size_t Batcher::lane_in_turn() {
  double quantum = 0;
  for (const LaneState& lane : lanes_) {
    if (lane.rows_waiting > 0) quantum = std::max(quantum, lane.times.step_seconds(lane.most_rows));
  }
  for (LaneState& lane : lanes_) {
    lane.deficit = lane.rows_waiting > 0 ? std::max(lane.deficit, kLeastDeficit * quantum) : 0;
  }
  const Entry* foremost_step = foremost(Phase::kSteps);
  if (foremost_step->pressed && deadline_share_.may()) return foremost_step->lane;
  while (true) {
    LaneState& lane = lanes_[turn_];
    const double cost = lane.times.step_seconds(std::min(lane.rows_waiting, lane.most_rows));
    if (lane.rows_waiting > 0 && lane.deficit >= cost) return turn_;
    turn_ = (turn_ + 1) % lanes_.size();
    if (lanes_[turn_].rows_waiting > 0) lanes_[turn_].deficit += quantum;
  }
}

Decision Batcher::step_of(size_t lane) {
  const Urgency urgency{deadline_share_.may(), first_step_share_.may()};
  const std::vector<const Entry*> batch = fill(lane, urgency);
  favour_ = favour_of(batch, lane, urgency);
  Decision decision{Decision::Kind::kStep};
  rows_running_ = 0;
  for (const Entry* entry : batch) {
    decision.jobs.push_back(entry->job.id);
    rows_running_ += entry->job.rows;
  }
  lane_running_ = lane;
  decision.seconds = lanes_[lane].times.step_seconds(rows_running_);
  lanes_[lane].deficit -= decision.seconds;
  return decision;
}

Batcher::Favour Batcher::favour_of(const std::vector<const Entry*>& batch, size_t lane, Urgency urgency) const {
  if (lane != turn_) return {1, 0};
  const std::vector<const Entry*> in_turn = fill(lane, {});
  double rows = 0, pressed = 0, first = 0;
  for (const Entry* entry : batch) {
    rows += entry->job.rows;
    if (std::ranges::count(in_turn, entry) > 0) continue;
    (urgency.deadlines && entry->pressed ? pressed : first) += entry->job.rows;
  }
  return {pressed / rows, first / rows};
}

// In order, as long as there is room; whoever does not fit lets those pass that do.
std::vector<const Batcher::Entry*> Batcher::fill(size_t lane, Urgency urgency) const {
  std::vector<const Entry*> ready, batch;
  for (const auto& [id, entry] : jobs_) {
    if (entry.lane == lane && entry.phase == Phase::kSteps) ready.push_back(&entry);
  }
  std::ranges::sort(ready, [&](const Entry* a, const Entry* b) { return goes_before(*a, *b, urgency); });
  int room = lanes_[lane].most_rows;
  for (const Entry* entry : ready) {
    if (entry->job.alone && !batch.empty()) continue;
    if (entry->job.rows > room && !batch.empty()) continue;  // alone it is tried even where its lane has shrunk
    batch.push_back(entry);
    room -= entry->job.rows;
    if (entry->job.alone || room <= 0) break;
  }
  return batch;
}

// Off and static: a wave of jobs is chosen, and nothing else runs until it has ended.
Decision Batcher::next_of_wave() {
  const auto in_wave = [](const auto& job) { return job.second.in_wave; };
  if (std::ranges::none_of(jobs_, in_wave)) start_wave();
  Decision step{Decision::Kind::kStep};
  rows_running_ = 0;
  contended_ = false;
  favour_ = {};
  for (const auto& [id, entry] : jobs_) {
    if (!entry.in_wave) continue;
    if (entry.phase != Phase::kSteps) return side_run(entry);
    step.jobs.push_back(id);
    rows_running_ += entry.job.rows;
    lane_running_ = entry.lane;
  }
  if (step.jobs.empty()) return {};
  step.seconds = lanes_[lane_running_].times.step_seconds(rows_running_);
  return step;
}

void Batcher::start_wave() {
  std::vector<Entry*> waiting;
  for (auto& [id, entry] : jobs_) waiting.push_back(&entry);
  std::ranges::stable_sort(waiting, {}, [](const Entry* entry) { return entry->job.arrival; });
  if (waiting.empty()) return;
  const Entry& head = *waiting.front();
  const bool one = settings_.batching == Batching::kOff || head.job.alone;
  int room = lanes_[head.lane].most_rows;
  for (Entry* entry : waiting) {
    const bool company = entry == &head || !(one || entry->job.alone);
    if (!company || entry->lane != head.lane || (entry->job.rows > room && entry != &head)) continue;
    entry->in_wave = true;
    room -= entry->job.rows;
  }
}

}  // namespace inkstone
