#include "serve/forecast.h"

#include <algorithm>
#include <limits>

namespace inkstone {
namespace {

constexpr double kNone = 1e-6;  // of calls left

struct Run {                    // of one lane
  std::vector<size_t> waiting;  // jobs with steps left, in order
  std::vector<size_t> batch;
  double step_seconds = 0;
};

class Course {
 public:
  Course(std::span<const ForecastLane> lanes, std::span<const ForecastJob> jobs, double first_share)
      : lanes_(lanes), jobs_(jobs), first_share_(first_share), runs_(lanes.size()), ends_(jobs.size()) {}

  std::vector<double> run() {
    line_up();
    while (advance()) {
    }
    return std::move(ends_);
  }

 private:
  void line_up() {
    for (const ForecastJob& job : jobs_) clock_ += job.text ? lanes_[job.lane].times->text_seconds() : 0;
    for (size_t i = 0; i < jobs_.size(); i++) {
      left_.push_back(jobs_[i].calls);
      if (jobs_[i].calls <= 0) {
        end(i);
        continue;
      }
      runs_[jobs_[i].lane].waiting.push_back(i);
      others_ += !jobs_[i].first;
    }
    for (size_t lane = 0; lane < runs_.size(); lane++) fill(lane);
  }

  void end(size_t job) { ends_[job] = clock_ += lanes_[jobs_[job].lane].times->vae_seconds(); }

  void fill(size_t lane) {
    Run& run = runs_[lane];
    run.batch.clear();
    int rows = 0;
    for (const size_t job : run.waiting) {
      if (rows >= lanes_[lane].most_rows) break;
      if (rows > 0 && rows + jobs_[job].rows > lanes_[lane].most_rows) continue;
      run.batch.push_back(job);
      rows += jobs_[job].rows;
    }
    if (rows > 0) run.step_seconds = lanes_[lane].times->step_seconds(rows);
  }

  // To the next job's last step, in whichever lane; false when there is none.
  bool advance() {
    while (foremost_ < jobs_.size() && left_[foremost_] <= kNone) foremost_++;
    const bool pressed = foremost_ < jobs_.size() && jobs_[foremost_].first;
    const auto runs_now = [&](const Run& run) {
      return !run.batch.empty() && (!pressed || &run == &runs_[jobs_[foremost_].lane]);
    };
    const auto sharing = static_cast<double>(std::ranges::count_if(runs_, runs_now));
    if (sharing == 0) return false;
    const double slowness = !pressed ? sharing : others_ > 0 ? 1 / first_share_ : 1;
    double seconds = std::numeric_limits<double>::infinity();
    for (const Run& run : runs_) {
      if (!runs_now(run)) continue;
      for (const size_t job : run.batch) seconds = std::min(seconds, left_[job] * run.step_seconds * slowness);
    }
    clock_ += seconds;
    for (size_t lane = 0; lane < runs_.size(); lane++) {
      if (runs_now(runs_[lane])) moving_.push_back(lane);
    }
    for (const size_t lane : moving_) move(lane, seconds / (runs_[lane].step_seconds * slowness));
    moving_.clear();
    return true;
  }

  void move(size_t lane, double steps) {
    Run& run = runs_[lane];
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
    fill(lane);
  }

  std::span<const ForecastLane> lanes_;
  std::span<const ForecastJob> jobs_;
  double first_share_;
  std::vector<Run> runs_;
  std::vector<double> ends_, left_;  // by job; calls, which here may be fractions
  std::vector<size_t> moving_;
  size_t foremost_ = 0;  // job with calls left
  int others_ = 0;       // with calls left, and not `first`
  double clock_ = 0;
};

}  // namespace

std::vector<double> forecast_steps(std::span<const ForecastLane> lanes, std::span<const ForecastJob> jobs,
                                   double first_share) {
  return Course(lanes, jobs, first_share).run();
}

std::vector<double> forecast_waves(std::span<const ForecastLane> lanes, std::span<const ForecastJob> jobs,
                                   size_t most_jobs) {
  std::vector<double> ends(jobs.size(), -1);
  double clock = 0;
  for (size_t head = 0; head < jobs.size(); head++) {
    if (ends[head] >= 0) continue;
    const ForecastLane& lane = lanes[jobs[head].lane];
    std::vector<size_t> wave;
    int rows = 0, calls = 0;
    for (size_t i = head; i < jobs.size() && wave.size() < most_jobs; i++) {
      if (ends[i] >= 0 || jobs[i].lane != jobs[head].lane) continue;
      if (rows > 0 && rows + jobs[i].rows > lane.most_rows) continue;
      wave.push_back(i);
      rows += jobs[i].rows;
      calls = std::max(calls, jobs[i].calls);
      clock += (jobs[i].text ? lane.times->text_seconds() : 0) + lane.times->vae_seconds();
    }
    clock += calls * lane.times->step_seconds(rows);
    for (const size_t i : wave) ends[i] = clock;
  }
  return ends;
}

}  // namespace inkstone
