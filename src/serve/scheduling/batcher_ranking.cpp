// Which job goes next: between steps an encode or a decode, if its share allows it; otherwise a
// step of the bucket whose turn it is.
#include <algorithm>
#include <limits>

#include "serve/scheduling/batcher.h"

namespace inkstone::serve {
namespace {

// A safety factor: encodes, decodes and first steps come between.
constexpr double kEarly = 2.5;
// In quanta: the most that a bucket owes after going first for its deadlines.
constexpr double kMinDeficit = -8;

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
  const bool steps_wait =
      std::ranges::any_of(buckets_, [](const BucketState& bucket) { return bucket.rows_waiting > 0; });
  contended_ = steps_wait;
  if (const Entry* entry = side_job(steps_wait)) return side_run(*entry);
  return steps_wait ? step_of(bucket_in_turn()) : Decision{};
}

void Batcher::look_around(double now) {
  std::vector<Entry*> timed;
  for (BucketState& bucket : buckets_) bucket.rows_waiting = 0;
  for (auto& [id, entry] : jobs_) {
    entry.at_risk = false;
    if (entry.phase == Phase::kDenoise) buckets_[entry.bucket].rows_waiting += entry.job.rows;
    if (entry.job.deadline && now + alone_seconds(entry) <= *entry.job.deadline) timed.push_back(&entry);
  }
  mark_at_risk(timed, now);
}

// A deadline is at risk when the deadlines' share of the time just suffices for all jobs due by
// then. Jobs of one bucket step together, but none ends sooner than it would alone; buckets take
// turns.
void Batcher::mark_at_risk(std::vector<Entry*>& timed, double now) const {
  struct Due {
    double together = 0, longest = 0;
  };
  std::ranges::stable_sort(timed, {}, [](const Entry* entry) { return *entry->job.deadline; });
  std::vector<Due> buckets(buckets_.size());
  double due = 0;
  size_t at_risk = 0;
  for (size_t i = 0; i < timed.size(); i++) {
    const Entry& entry = *timed[i];
    const BucketState& bucket = buckets_[entry.bucket];
    const double steps = entry.job.calls_left * bucket.times.step_seconds(bucket.max_batch_rows);
    Due& own = buckets[entry.bucket];
    due -= std::max(own.together, own.longest);
    own.together += steps * entry.job.rows / bucket.max_batch_rows;
    own.longest = std::max(own.longest, steps);
    due += std::max(own.together, own.longest) + side_seconds(entry) / settings_.decode_share;
    if (now + kEarly * due / settings_.deadline_share >= *entry.job.deadline) at_risk = i + 1;
  }
  for (size_t i = 0; i < at_risk; i++) timed[i]->at_risk = true;
}

bool Batcher::goes_before(const Entry& a, const Entry& b, Urgency urgency) const {
  const auto first_step = [this](const Entry& entry) {
    return settings_.first_step_first && entry.fresh && entry.job.priority != Priority::kLow;
  };
  if (urgency.deadlines) {
    if (a.at_risk != b.at_risk) return a.at_risk;
    if (a.at_risk && *a.job.deadline != *b.job.deadline) return *a.job.deadline < *b.job.deadline;
  }
  if (urgency.first_steps && first_step(a) != first_step(b)) return first_step(a);
  if (a.rank != b.rank) return a.rank < b.rank;
  return a.job.id < b.job.id;
}

const Batcher::Entry* Batcher::next_in_queue(Phase phase) const {
  const Entry* next_in_queue = nullptr;
  for (const auto& [id, entry] : jobs_) {
    if (entry.phase == phase && (!next_in_queue || goes_before(entry, *next_in_queue, {true, true})))
      next_in_queue = &entry;
  }
  return next_in_queue;
}

// While steps wait, each kind keeps within its share: between two steps at most one decode, and one
// encode or as many as the share of one step affords. The two kinds take turns.
const Batcher::Entry* Batcher::side_job(bool steps_wait) const {
  const Entry* text = next_in_queue(Phase::kEncode);
  const Entry* pixels = next_in_queue(Phase::kDecode);
  if (steps_wait) {
    const bool one_encode = !encode_ran_ && encode_share_.may();
    if (text && !one_encode && !encode_share_.affords(buckets_[text->bucket].times.encode_seconds())) text = nullptr;
    if (decode_ran_ || !decode_share_.may()) pixels = nullptr;
  }
  if (text && pixels) return encode_ran_last_ ? pixels : text;
  return text ? text : pixels;
}

Decision Batcher::side_run(const Entry& entry) {
  const bool text = entry.phase == Phase::kEncode;
  const StepTimes& times = buckets_[entry.bucket].times;
  (text ? encode_ran_ : decode_ran_) = true;
  encode_ran_last_ = text;
  bucket_running_ = entry.bucket;
  if (text) return {Decision::Kind::kEncode, {entry.job.id}, times.encode_seconds()};
  return {Decision::Kind::kDecode, {entry.job.id}, times.decode_seconds()};
}

// Deficit round robin: each turn gives a bucket a quantum of seconds, from which it pays for its
// steps. A bucket in which nothing waits loses what it has left. A deadline at risk does not wait
// for its bucket's turn, but its step is paid for too.
size_t Batcher::bucket_in_turn() {
  double quantum = 0;
  for (const BucketState& bucket : buckets_) {
    if (bucket.rows_waiting > 0) quantum = std::max(quantum, bucket.times.step_seconds(bucket.max_batch_rows));
  }
  for (BucketState& bucket : buckets_) {
    bucket.deficit = bucket.rows_waiting > 0 ? std::max(bucket.deficit, kMinDeficit * quantum) : 0;
  }
  const Entry* next_step = next_in_queue(Phase::kDenoise);
  if (next_step->at_risk && deadline_share_.may()) return next_step->bucket;
  while (true) {
    BucketState& bucket = buckets_[turn_];
    const double cost = bucket.times.step_seconds(std::min(bucket.rows_waiting, bucket.max_batch_rows));
    if (bucket.rows_waiting > 0 && bucket.deficit >= cost) return turn_;
    turn_ = (turn_ + 1) % buckets_.size();
    if (buckets_[turn_].rows_waiting > 0) buckets_[turn_].deficit += quantum;
  }
}

Decision Batcher::step_of(size_t bucket) {
  const Urgency urgency{deadline_share_.may(), first_step_share_.may()};
  const std::vector<const Entry*> batch = fill(bucket, urgency);
  borrowed_share_ = borrowed_share_of(batch, bucket, urgency);
  Decision decision{Decision::Kind::kStep};
  batch_rows_ = 0;
  for (const Entry* entry : batch) {
    decision.jobs.push_back(entry->job.id);
    batch_rows_ += entry->job.rows;
  }
  bucket_running_ = bucket;
  decision.seconds = buckets_[bucket].times.step_seconds(batch_rows_);
  buckets_[bucket].deficit -= decision.seconds;
  return decision;
}

Batcher::BorrowedShare Batcher::borrowed_share_of(const std::vector<const Entry*>& batch, size_t bucket,
                                                  Urgency urgency) const {
  if (bucket != turn_) return {1, 0};
  const std::vector<const Entry*> in_turn = fill(bucket, {});
  double rows = 0, at_risk = 0, first = 0;
  for (const Entry* entry : batch) {
    rows += entry->job.rows;
    if (std::ranges::count(in_turn, entry) > 0) continue;
    (urgency.deadlines && entry->at_risk ? at_risk : first) += entry->job.rows;
  }
  return {at_risk / rows, first / rows};
}

// By rank, as long as there is room; a job that does not fit lets smaller ones pass.
std::vector<const Batcher::Entry*> Batcher::fill(size_t bucket, Urgency urgency) const {
  std::vector<const Entry*> ready, batch;
  for (const auto& [id, entry] : jobs_) {
    if (entry.bucket == bucket && entry.phase == Phase::kDenoise) ready.push_back(&entry);
  }
  std::ranges::sort(ready, [&](const Entry* a, const Entry* b) { return goes_before(*a, *b, urgency); });
  int room = buckets_[bucket].max_batch_rows;
  for (const Entry* entry : ready) {
    if (entry->job.alone && !batch.empty()) continue;
    // Alone it is tried even if its bucket takes fewer rows by now.
    if (entry->job.rows > room && !batch.empty()) continue;
    batch.push_back(entry);
    room -= entry->job.rows;
    if (entry->job.alone || room <= 0) break;
  }
  return batch;
}

// For Batching::kOff and kStatic: a wave of jobs is chosen, and nothing else runs until it has
// ended.
Decision Batcher::next_of_wave() {
  const auto in_wave = [](const auto& job) { return job.second.in_wave; };
  if (std::ranges::none_of(jobs_, in_wave)) start_wave();
  Decision step{Decision::Kind::kStep};
  batch_rows_ = 0;
  contended_ = false;
  borrowed_share_ = {};
  for (const auto& [id, entry] : jobs_) {
    if (!entry.in_wave) continue;
    if (entry.phase != Phase::kDenoise) return side_run(entry);
    step.jobs.push_back(id);
    batch_rows_ += entry.job.rows;
    bucket_running_ = entry.bucket;
  }
  if (step.jobs.empty()) return {};
  step.seconds = buckets_[bucket_running_].times.step_seconds(batch_rows_);
  return step;
}

void Batcher::start_wave() {
  std::vector<Entry*> waiting;
  for (auto& [id, entry] : jobs_) waiting.push_back(&entry);
  std::ranges::stable_sort(waiting, {}, [](const Entry* entry) { return entry->job.arrival; });
  if (waiting.empty()) return;
  const Entry& head = *waiting.front();
  const bool one = settings_.batching == Batching::kOff || head.job.alone;
  int room = buckets_[head.bucket].max_batch_rows;
  for (Entry* entry : waiting) {
    const bool company = entry == &head || !(one || entry->job.alone);
    if (!company || entry->bucket != head.bucket || (entry->job.rows > room && entry != &head)) continue;
    entry->in_wave = true;
    room -= entry->job.rows;
  }
}

}  // namespace inkstone::serve
