#include "serve/scheduling/forecast.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

namespace inkstone::serve {
namespace {

constexpr double kNone = 1e-6;  // of calls left

// Jobs of equally many rows that have steps left, in order. Who was in a batch stands in front.
struct Line {
  std::vector<size_t> jobs{}, front{};
  size_t next = 0;  // of `jobs`: who was in no batch yet

  std::optional<size_t> at(size_t i) const {
    if (i < front.size()) return front[i];
    const size_t behind = next + i - front.size();
    return behind < jobs.size() ? std::optional(jobs[behind]) : std::nullopt;
  }
  void took(size_t count) {
    while (front.size() < count) front.push_back(jobs[next++]);
  }
};

struct Run {                  // of one bucket
  std::map<int, Line> lines;  // by rows of a job
  std::vector<size_t> batch{};
  double step_seconds = 0;
};

// The first jobs for which there is room; one that has none lets smaller ones pass.
int fill_batch(Run& run, int max_rows) {
  run.batch.clear();
  std::map<int, size_t> taken;
  int rows = 0;
  while (rows < max_rows) {
    std::optional<size_t> first;
    int its_rows = 0;
    for (const auto& [job_rows, line] : run.lines) {
      if (rows > 0 && rows + job_rows > max_rows) break;
      const std::optional<size_t> job = line.at(taken[job_rows]);
      if (!job || (first && *first < *job)) continue;
      first = job;
      its_rows = job_rows;
    }
    if (!first) break;
    run.batch.push_back(*first);
    taken[its_rows]++;
    rows += its_rows;
  }
  for (auto& [job_rows, line] : run.lines) line.took(taken[job_rows]);
  return rows;
}

class Forecast {
 public:
  Forecast(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs, double first_share)
      : buckets_(buckets), jobs_(jobs), first_share_(first_share), runs_(buckets.size()), ends_(jobs.size()) {}

  std::vector<double> run() {
    line_up();
    while (advance()) {
    }
    return std::move(ends_);
  }

 private:
  void line_up() {
    for (const ForecastJob& job : jobs_) clock_ += job.text ? buckets_[job.bucket].times->encode_seconds() : 0;
    for (size_t i = 0; i < jobs_.size(); i++) {
      left_.push_back(jobs_[i].calls);
      if (jobs_[i].calls <= 0) {
        end(i);
        continue;
      }
      runs_[jobs_[i].bucket].lines[jobs_[i].rows].jobs.push_back(i);
      others_ += !jobs_[i].first;
    }
    for (size_t bucket = 0; bucket < runs_.size(); bucket++) fill(bucket);
  }

  void end(size_t job) { ends_[job] = clock_ += buckets_[jobs_[job].bucket].times->decode_seconds(); }

  void fill(size_t bucket) {
    const int rows = fill_batch(runs_[bucket], buckets_[bucket].max_batch_rows);
    if (rows > 0) runs_[bucket].step_seconds = buckets_[bucket].times->step_seconds(rows);
  }

  // To the next job's last step, in whichever bucket; false when there is none.
  bool advance() {
    while (next_in_queue_ < jobs_.size() && left_[next_in_queue_] <= kNone) next_in_queue_++;
    const bool at_risk = next_in_queue_ < jobs_.size() && jobs_[next_in_queue_].first;
    double sharing = 0;  // weights
    moving_.clear();
    for (size_t bucket = 0; bucket < runs_.size(); bucket++) {
      if (runs_[bucket].batch.empty() || (at_risk && bucket != jobs_[next_in_queue_].bucket)) continue;
      moving_.push_back(bucket);
      sharing += buckets_[bucket].weight;
    }
    if (moving_.empty()) return false;
    const double first_slowness = others_ > 0 ? 1 / first_share_ : 1;
    const auto call_seconds = [&](size_t bucket) {
      const double slowness = at_risk ? first_slowness : sharing / buckets_[bucket].weight;
      return runs_[bucket].step_seconds * slowness;
    };
    double seconds = std::numeric_limits<double>::infinity();
    for (const size_t bucket : moving_)
      for (const size_t job : runs_[bucket].batch) seconds = std::min(seconds, left_[job] * call_seconds(bucket));
    clock_ += seconds;
    for (const size_t bucket : moving_) move(bucket, seconds / call_seconds(bucket));
    return true;
  }

  void move(size_t bucket, double steps) {
    Run& run = runs_[bucket];
    bool ended = false;
    for (const size_t job : run.batch) {
      left_[job] -= steps;
      if (left_[job] > kNone) continue;
      end(job);
      others_ -= !jobs_[job].first;
      ended = true;
    }
    if (!ended) return;
    for (auto& [rows, line] : run.lines) std::erase_if(line.front, [&](size_t job) { return left_[job] <= kNone; });
    fill(bucket);
  }

  std::span<const ForecastBucket> buckets_;
  std::span<const ForecastJob> jobs_;
  double first_share_;
  std::vector<Run> runs_;
  // By job; calls, which here may be fractions.
  std::vector<double> ends_, left_;
  std::vector<size_t> moving_;
  size_t next_in_queue_ = 0;  // job with calls left
  int others_ = 0;            // with calls left, and not `first`
  double clock_ = 0;
};

}  // namespace

std::vector<double> forecast_steps(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs,
                                   double first_share) {
  return Forecast(buckets, jobs, first_share).run();
}

std::vector<double> forecast_waves(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs,
                                   size_t max_jobs) {
  std::vector<double> ends(jobs.size(), -1);
  double clock = 0;
  for (size_t head = 0; head < jobs.size(); head++) {
    if (ends[head] >= 0) continue;
    const ForecastBucket& bucket = buckets[jobs[head].bucket];
    std::vector<size_t> wave;
    int rows = 0, calls = 0;
    for (size_t i = head; i < jobs.size() && wave.size() < max_jobs; i++) {
      if (ends[i] >= 0 || jobs[i].bucket != jobs[head].bucket) continue;
      if (rows > 0 && rows + jobs[i].rows > bucket.max_batch_rows) continue;
      wave.push_back(i);
      rows += jobs[i].rows;
      calls = std::max(calls, jobs[i].calls);
      clock += (jobs[i].text ? bucket.times->encode_seconds() : 0) + bucket.times->decode_seconds();
    }
    clock += calls * bucket.times->step_seconds(rows);
    for (const size_t i : wave) ends[i] = clock;
  }
  return ends;
}

}  // namespace inkstone::serve
