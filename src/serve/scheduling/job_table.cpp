#include "serve/scheduling/job_table.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace inkstone::serve {
namespace {

constexpr std::ptrdiff_t kMaxPassing = 32;  // buckets
constexpr int64_t kMaxLegs = 8;             // of a job, whose buckets come one after the other before it does

// As many rows as still make a row cheaper, or as are to be tried.
void follow_curve(BatchBucket& bucket) {
  if (bucket.room_rows == 0) return;
  bucket.max_batch_rows =
      std::max(kImageRows, std::min(bucket.times.batch_rows_to_try(kMinBatchGain), bucket.room_rows));
}

double seconds_to_end(const JobEntry& entry, const StepTimes& times) {
  return entry.job.draws ? times.decode_seconds() : 0;
}

bool one_lane(const JobEntry& a, const JobEntry& b) { return a.bucket == b.bucket && a.job.priority == b.job.priority; }

}  // namespace

size_t JobTable::add_bucket(BatchBucket bucket, const PlannedRun& run) {
  INKSTONE_CHECK(!bucket_of(bucket.size), "batcher: the bucket ", bucket.size.model, " ", bucket.size.width, " x ",
                 bucket.size.height, " is there already");
  INKSTONE_CHECK(bucket.max_batch_rows > 0, "batcher: a bucket of ", bucket.max_batch_rows, " rows");
  follow_curve(bucket);
  bucket.added = ++added_;
  if (bucket.passing && std::ranges::count(buckets_, true, &BatchBucket::passing) >= kMaxPassing) {
    for (size_t i = 0; i < buckets_.size(); i++) {
      const bool runs = !run.is(Decision::Kind::kNothing) && run.bucket == i;
      if (!buckets_[i].passing || runs || added_ - buckets_[i].added < kMaxLegs || !idle(i)) continue;
      buckets_[i] = std::move(bucket);
      return i;
    }
  }
  buckets_.push_back(std::move(bucket));
  return buckets_.size() - 1;
}

void JobTable::limit_rows(size_t bucket, int max_batch_rows) {
  BatchBucket& limited = buckets_[bucket];
  limited.max_batch_rows = max_batch_rows;
  if (limited.room_rows > 0) limited.room_rows = max_batch_rows;
}

// None of its jobs is there, or is to come.
bool JobTable::idle(size_t bucket) const {
  return std::ranges::none_of(jobs_, [&](const auto& job) {
    return job.second.bucket == bucket || std::ranges::find(job.second.job.later, buckets_[bucket].size,
                                                            &BatchLeg::bucket) != job.second.job.later.end();
  });
}

std::optional<size_t> JobTable::bucket_of(const SizeBucket& size) const {
  const auto found = std::ranges::find(buckets_, size, &BatchBucket::size);
  if (found == buckets_.end()) return std::nullopt;
  return static_cast<size_t>(found - buckets_.begin());
}

size_t JobTable::known_bucket(const SizeBucket& size) const {
  const std::optional<size_t> bucket = bucket_of(size);
  INKSTONE_CHECK(bucket, "batcher: no bucket for ", size.model, " ", size.width, " x ", size.height);
  return *bucket;
}

JobEntry JobTable::placed(const BatchJob& job) const {
  INKSTONE_CHECK(job.rows >= 1, "batcher: job ", job.id, " has ", job.rows, " rows");
  for (const BatchLeg& leg : job.later) {
    known_bucket(leg.bucket);
    INKSTONE_CHECK(leg.rows >= 1 && leg.calls >= 1, "batcher: job ", job.id, " has a leg of ", leg.rows, " rows and ",
                   leg.calls, " calls");
  }
  const int classes_above = static_cast<int>(Priority::kHigh) - static_cast<int>(job.priority);
  return {job, known_bucket(job.bucket), {job.arrival + head_start_ * classes_above}};
}

bool JobTable::add(const BatchJob& job) {
  const auto [entry, is_new] = jobs_.emplace(job.id, placed(job));
  if (!is_new) return false;
  try {
    shares_.joined(entry->second);
  } catch (...) {  // memory is short
    jobs_.erase(entry);
    throw;
  }
  arrange(entry->second);
  return true;
}

bool JobTable::remove(JobId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return false;
  const JobEntry gone = std::move(found->second);
  jobs_.erase(found);
  shares_.left(gone);
  arrange(gone);
  return true;
}

std::vector<ClientShares::Placed> JobTable::turns(const JobEntry& one_of_lane, const JobEntry* newcomer) const {
  std::vector<const JobEntry*> lane;
  for (const auto& [id, entry] : jobs_)
    if (one_lane(entry, one_of_lane)) lane.push_back(&entry);
  if (newcomer) lane.push_back(newcomer);
  return shares_.turns(std::move(lane), [this](const JobEntry& entry) { return shared_seconds(entry); });
}

void JobTable::arrange(const JobEntry& one_of_lane) {
  for (const ClientShares::Placed& placed : turns(one_of_lane, nullptr))
    jobs_.at(placed.entry->job.id).turn = placed.turn;
}

std::vector<ClientShares::Placed> JobTable::line(const JobEntry* newcomer) const {
  std::vector<ClientShares::Placed> line;
  if (newcomer) line = turns(*newcomer, newcomer);
  for (const auto& [id, entry] : jobs_)
    if (!newcomer || !one_lane(entry, *newcomer)) line.push_back({&entry, entry.turn});
  std::ranges::sort(line, [](const auto& a, const auto& b) { return goes_first(*a.entry, a.turn, *b.entry, b.turn); });
  return line;
}

const JobEntry* JobTable::find(JobId id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

JobEntry* JobTable::entry_of(JobId id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

double JobTable::side_seconds(const JobEntry& entry) const {
  return (entry.job.later.empty() ? seconds_to_end(entry, buckets_[entry.bucket].times) : 0) +
         (entry.phase == Phase::kEncode ? buckets_[entry.bucket].times.begin_seconds(entry.job.begins) : 0);
}

double JobTable::later_seconds(const JobEntry& entry) const {
  double seconds = 0;
  for (const BatchLeg& leg : entry.job.later) {
    const StepTimes& times = buckets_[known_bucket(leg.bucket)].times;
    seconds += times.begin_seconds(leg.begins) + leg.calls * times.step_seconds(leg.rows);
    if (&leg == &entry.job.later.back()) seconds += times.decode_seconds();
  }
  return seconds;
}

double JobTable::alone_seconds(const JobEntry& entry) const {
  return entry.job.calls_left * buckets_[entry.bucket].times.step_seconds(entry.job.rows) + side_seconds(entry) +
         later_seconds(entry);
}

double JobTable::shared_seconds(const JobEntry& entry) const {
  const BatchBucket& bucket = buckets_[entry.bucket];
  const double part = std::min(1.0, static_cast<double>(entry.job.rows) / bucket.max_batch_rows);
  const double steps = entry.job.calls_left * bucket.times.step_seconds(bucket.max_batch_rows) * part;
  return steps + side_seconds(entry) + (entry.fresh ? entry.text_seconds : 0);
}

PlannedRun JobTable::side_run(const JobEntry& entry) const {
  if (entry.phase == Phase::kEncode)
    return {{Decision::Kind::kEncode, {entry.job.id}, buckets_[entry.bucket].times.begin_seconds(entry.job.begins)},
            entry.bucket};
  return {{Decision::Kind::kDecode, {entry.job.id}, seconds_to_end(entry, buckets_[entry.bucket].times)}, entry.bucket};
}

void JobTable::ran(const PlannedRun& run, double seconds) {
  StepTimes& times = buckets_[run.bucket].times;
  if (run.is(Decision::Kind::kStep)) {
    times.stepped(run.batch_rows, seconds);
    follow_curve(buckets_[run.bucket]);
  }
  const JobEntry* first = run.decision.jobs.empty() ? nullptr : find(run.decision.jobs.front());
  if (run.is(Decision::Kind::kEncode)) times.began(first ? first->job.begins : Beginning::kText, seconds);
  if (run.is(Decision::Kind::kDecode) && first && first->job.draws) times.decoded(seconds);
  for (const JobId id : run.decision.jobs) {
    JobEntry* entry = entry_of(id);
    if (!entry) continue;  // cancelled, or failed, meanwhile
    const bool step = run.is(Decision::Kind::kStep);
    if (run.is(Decision::Kind::kEncode)) {
      entry->text_seconds = seconds;
      entry->phase = entry->job.calls_left > 0 ? Phase::kDenoise : Phase::kDecode;
    } else {
      const double text = entry->fresh ? entry->text_seconds : 0;
      const double own = text + (step ? seconds * entry->job.rows / run.batch_rows : seconds);
      entry->seconds += own;
      shares_.ran(*entry, own);
    }
    if (step) {
      entry->fresh = false;
      if (--entry->job.calls_left <= 0) entry->phase = Phase::kDecode;
    }
    if (entry->phase == Phase::kDecode && !entry->job.later.empty()) begin_leg(id);
  }
}

void JobTable::begin_leg(JobId id) {
  const JobEntry& entry = jobs_.at(id);
  BatchJob job = entry.job;
  const bool in_wave = entry.in_wave;
  const BatchLeg leg = job.later.front();
  job.later.erase(job.later.begin());
  job.bucket = leg.bucket;
  job.rows = leg.rows;
  job.calls_left = leg.calls;
  job.leg++;
  job.begins = leg.begins;
  remove(id);
  add(job);
  set_in_wave(id, in_wave);
}

void JobTable::cut_short(JobId id, int max_calls_left) {
  JobEntry* entry = entry_of(id);
  if (!entry) return;
  entry->job.calls_left = std::min(entry->job.calls_left, max_calls_left);
  entry->job.later.clear();
  const bool between_legs = entry->phase == Phase::kEncode && entry->job.leg > 0;
  if ((entry->phase == Phase::kDenoise || between_legs) && entry->job.calls_left == 0) entry->phase = Phase::kDecode;
}

void JobTable::correct(JobId id, int rows, int calls_left) {
  JobEntry* entry = entry_of(id);
  if (!entry) return;
  INKSTONE_CHECK(rows >= 1, "batcher: job ", id, " has ", rows, " rows");
  entry->job.rows = rows;
  entry->job.calls_left = calls_left;
}

void JobTable::set_in_wave(JobId id, bool in_wave) {
  if (JobEntry* entry = entry_of(id)) entry->in_wave = in_wave;
}

}  // namespace inkstone::serve
