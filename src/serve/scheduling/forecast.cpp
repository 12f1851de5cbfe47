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
  // One that comes later, at its place among those that wait.
  void join(size_t job) {
    jobs.insert(std::upper_bound(jobs.begin() + static_cast<std::ptrdiff_t>(next), jobs.end(), job), job);
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

double text_seconds(std::span<const ForecastBucket> buckets, const ForecastJob& job) {
  return job.text ? buckets[job.bucket].times->begin_seconds(job.begins) : 0;
}

class Forecast {
 public:
  Forecast(std::span<const ForecastBucket> buckets, std::span<const ForecastJob> jobs, double first_share)
      : buckets_(buckets), jobs_(jobs), first_share_(first_share), runs_(buckets.size()), ends_(jobs.size()) {
    for (const ForecastJob& job : jobs) at_.push_back({job.bucket, job.rows, job.calls});
    legs_done_.resize(jobs.size());
  }

  std::vector<double> run() {
    line_up();
    while (advance()) {
    }
    return std::move(ends_);
  }

 private:
  void line_up() {
    for (const ForecastJob& job : jobs_) clock_ += text_seconds(buckets_, job);
    for (size_t i = 0; i < jobs_.size(); i++) {
      left_.push_back(jobs_[i].calls);
      if (jobs_[i].calls <= 0 && !begin_leg(i)) {
        end(i);
        continue;
      }
      runs_[at_[i].bucket].lines[at_[i].rows].jobs.push_back(i);
      others_ += !jobs_[i].first;
    }
    for (size_t bucket = 0; bucket < runs_.size(); bucket++) fill(bucket);
  }

  void end(size_t job) {
    ends_[job] = clock_ += jobs_[job].draws ? buckets_[at_[job].bucket].times->decode_seconds() : 0;
  }

  // The job's next one; false: there is none.
  bool begin_leg(size_t job) {
    if (legs_done_[job] == jobs_[job].later.size()) return false;
    at_[job] = jobs_[job].later[legs_done_[job]++];
    left_[job] = at_[job].calls;
    clock_ += buckets_[at_[job].bucket].times->begin_seconds(at_[job].begins);
    return true;
  }

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
      if (runs_[bucket].batch.empty() || (at_risk && bucket != at_[next_in_queue_].bucket)) continue;
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
    gone_.clear();
    for (const size_t bucket : moving_) move(bucket, seconds / call_seconds(bucket));
    for (const size_t job : gone_) leave(job);
    return true;
  }

  void move(size_t bucket, double steps) {
    for (const size_t job : runs_[bucket].batch) {
      left_[job] -= steps;
      if (left_[job] <= kNone) gone_.push_back(job);
    }
  }

  // For its next leg, or for good.
  void leave(size_t job) {
    const size_t bucket = at_[job].bucket;
    std::erase(runs_[bucket].lines[at_[job].rows].front, job);
    if (begin_leg(job)) {
      runs_[at_[job].bucket].lines[at_[job].rows].join(job);
      fill(at_[job].bucket);
    } else {
      end(job);
      others_ -= !jobs_[job].first;
    }
    fill(bucket);
  }

  std::span<const ForecastBucket> buckets_;
  std::span<const ForecastJob> jobs_;
  double first_share_;
  std::vector<Run> runs_;
  // By job; calls, which here may be fractions.
  std::vector<double> ends_, left_;
  std::vector<ForecastLeg> at_;        // by job: where it is
  std::vector<size_t> legs_done_;      // by job: of its later ones, that have begun
  std::vector<size_t> moving_, gone_;  // buckets; jobs
  size_t next_in_queue_ = 0;           // job with calls left
  int others_ = 0;                     // with calls left, and not `first`
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
      clock += text_seconds(buckets, jobs[i]);
      // Each alone, because the wave may come apart.
      for (const ForecastLeg& leg : jobs[i].later) {
        const StepTimes& times = *buckets[leg.bucket].times;
        clock += times.begin_seconds(leg.begins) + leg.calls * times.step_seconds(leg.rows);
      }
      if (!jobs[i].draws) continue;
      clock += buckets[jobs[i].later.empty() ? jobs[i].bucket : jobs[i].later.back().bucket].times->decode_seconds();
    }
    clock += calls * bucket.times->step_seconds(rows);
    for (const size_t i : wave) ends[i] = clock;
  }
  return ends;
}

}  // namespace inkstone::serve
