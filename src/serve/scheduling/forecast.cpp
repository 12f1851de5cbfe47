#include "serve/scheduling/forecast.h"

#include <algorithm>
#include <limits>

namespace inkstone::serve {
namespace {

constexpr double kNone = 1e-6;  // of calls left

struct Run {                    // of one bucket
  std::vector<size_t> waiting;  // jobs with steps left, in order
  std::vector<size_t> batch;
  double step_seconds = 0;
};

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
      runs_[jobs_[i].bucket].waiting.push_back(i);
      others_ += !jobs_[i].first;
    }
    for (size_t bucket = 0; bucket < runs_.size(); bucket++) fill(bucket);
  }

  void end(size_t job) { ends_[job] = clock_ += buckets_[jobs_[job].bucket].times->decode_seconds(); }

  void fill(size_t bucket) {
    Run& run = runs_[bucket];
    run.batch.clear();
    int rows = 0;
    for (const size_t job : run.waiting) {
      if (rows >= buckets_[bucket].max_batch_rows) break;
      if (rows > 0 && rows + jobs_[job].rows > buckets_[bucket].max_batch_rows) continue;
      run.batch.push_back(job);
      rows += jobs_[job].rows;
    }
    if (rows > 0) run.step_seconds = buckets_[bucket].times->step_seconds(rows);
  }

  // To the next job's last step, in whichever bucket; false when there is none.
  bool advance() {
    while (next_in_queue_ < jobs_.size() && left_[next_in_queue_] <= kNone) next_in_queue_++;
    const bool at_risk = next_in_queue_ < jobs_.size() && jobs_[next_in_queue_].first;
    const auto runs_now = [&](const Run& run) {
      return !run.batch.empty() && (!at_risk || &run == &runs_[jobs_[next_in_queue_].bucket]);
    };
    const auto sharing = static_cast<double>(std::ranges::count_if(runs_, runs_now));
    if (sharing == 0) return false;
    const double slowness = !at_risk ? sharing : others_ > 0 ? 1 / first_share_ : 1;
    double seconds = std::numeric_limits<double>::infinity();
    for (const Run& run : runs_) {
      if (!runs_now(run)) continue;
      for (const size_t job : run.batch) seconds = std::min(seconds, left_[job] * run.step_seconds * slowness);
    }
    clock_ += seconds;
    for (size_t bucket = 0; bucket < runs_.size(); bucket++) {
      if (runs_now(runs_[bucket])) moving_.push_back(bucket);
    }
    for (const size_t bucket : moving_) move(bucket, seconds / (runs_[bucket].step_seconds * slowness));
    moving_.clear();
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
    std::erase_if(run.waiting, [&](size_t job) { return left_[job] <= kNone; });
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
