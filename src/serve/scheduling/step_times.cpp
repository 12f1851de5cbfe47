#include "serve/scheduling/step_times.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace inkstone::serve {
namespace {

constexpr double kRate = 0.05, kStrange = 4;

void follow(double& average, double seconds) {
  if (!std::isfinite(seconds) || seconds <= 0) return;
  average += kRate * (std::clamp(seconds, average / kStrange, average * kStrange) - average);
}

bool fewer(const BatchTime& a, const BatchTime& b) { return a.batch_rows < b.batch_rows; }

}  // namespace

StepTimes::StepTimes(std::vector<BatchTime> measured, double encode_seconds, double decode_seconds)
    : averages_(std::move(measured)), encode_seconds_(encode_seconds), decode_seconds_(decode_seconds) {
  INKSTONE_CHECK(!averages_.empty(), "step times: nothing was measured");
  INKSTONE_CHECK(encode_seconds > 0 && decode_seconds > 0, "step times: text ", encode_seconds, " s, VAE ",
                 decode_seconds, " s");
  std::ranges::sort(averages_, fewer);
  for (size_t i = 0; i < averages_.size(); i++) {
    const BatchTime& time = averages_[i];
    INKSTONE_CHECK(time.batch_rows > 0 && time.seconds > 0, "step times: ", time.batch_rows, " rows in ", time.seconds,
                   " s");
    INKSTONE_CHECK(i == 0 || averages_[i - 1].batch_rows < time.batch_rows, "step times: ", time.batch_rows,
                   " rows stand there twice");
  }
  fit();
}

double StepTimes::step_seconds(int batch_rows) const {
  const auto above = std::ranges::lower_bound(curve_, BatchTime{batch_rows, 0}, fewer);
  if (above == curve_.begin()) return above->seconds;
  if (curve_.size() == 1) return curve_[0].seconds / curve_[0].batch_rows * batch_rows;
  const auto high = above == curve_.end() ? above - 1 : above;
  const auto low = high - 1;
  const double slope = (high->seconds - low->seconds) / (high->batch_rows - low->batch_rows);
  return low->seconds + slope * (batch_rows - low->batch_rows);
}

void StepTimes::stepped(int batch_rows, double seconds) {
  if (batch_rows < 1) return;
  auto at = std::ranges::lower_bound(averages_, BatchTime{batch_rows, 0}, fewer);
  if (at == averages_.end() || at->batch_rows != batch_rows)
    at = averages_.insert(at, {batch_rows, step_seconds(batch_rows)});
  follow(at->seconds, seconds);
  fit();
}

void StepTimes::encoded(double seconds) { follow(encode_seconds_, seconds); }
void StepTimes::decoded(double seconds) { follow(decode_seconds_, seconds); }

int StepTimes::best_batch_rows(double min_gain) const {
  BatchTime best = curve_.front();
  for (const BatchTime& more : curve_) {
    if (more.seconds / more.batch_rows < (1 - min_gain) * best.seconds / best.batch_rows) best = more;
  }
  return best.batch_rows;
}

// Finds the nondecreasing curve with the least squared distance: neighbours that fall are pooled,
// each pool at its mean, until none falls.
void StepTimes::fit() {
  struct Pool {
    double sum;
    size_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Pool> pools;
  for (const BatchTime& time : averages_) {
    pools.push_back({time.seconds, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  curve_.clear();
  for (const Pool& pool : pools) {
    for (size_t i = 0; i < pool.count; i++) curve_.push_back({averages_[curve_.size()].batch_rows, pool.mean()});
  }
}

}  // namespace inkstone::serve
