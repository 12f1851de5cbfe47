#include "serve/step_times.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace inkstone {
namespace {

constexpr double kRate = 0.05, kStrange = 4;

void follow(double& average, double seconds) {
  if (!std::isfinite(seconds) || seconds <= 0) return;
  average += kRate * (std::clamp(seconds, average / kStrange, average * kStrange) - average);
}

bool fewer(const RowTime& a, const RowTime& b) { return a.rows < b.rows; }

}  // namespace

StepTimes::StepTimes(std::vector<RowTime> measured, double text_seconds, double vae_seconds)
    : averages_(std::move(measured)), text_seconds_(text_seconds), vae_seconds_(vae_seconds) {
  INKSTONE_CHECK(!averages_.empty(), "step times: nothing was measured");
  INKSTONE_CHECK(text_seconds > 0 && vae_seconds > 0, "step times: text ", text_seconds, " s, VAE ", vae_seconds, " s");
  std::ranges::sort(averages_, fewer);
  for (size_t i = 0; i < averages_.size(); i++) {
    const RowTime& time = averages_[i];
    INKSTONE_CHECK(time.rows > 0 && time.seconds > 0, "step times: ", time.rows, " rows in ", time.seconds, " s");
    INKSTONE_CHECK(i == 0 || averages_[i - 1].rows < time.rows, "step times: ", time.rows, " rows stand there twice");
  }
  fit();
}

double StepTimes::step_seconds(int rows) const {
  const auto above = std::ranges::lower_bound(curve_, RowTime{rows, 0}, fewer);
  if (above == curve_.begin()) return above->seconds;
  if (curve_.size() == 1) return curve_[0].seconds / curve_[0].rows * rows;
  const auto high = above == curve_.end() ? above - 1 : above;
  const auto low = high - 1;
  const double slope = (high->seconds - low->seconds) / (high->rows - low->rows);
  return low->seconds + slope * (rows - low->rows);
}

void StepTimes::stepped(int rows, double seconds) {
  if (rows < 1) return;
  auto at = std::ranges::lower_bound(averages_, RowTime{rows, 0}, fewer);
  if (at == averages_.end() || at->rows != rows) at = averages_.insert(at, {rows, step_seconds(rows)});
  follow(at->seconds, seconds);
  fit();
}

void StepTimes::encoded(double seconds) { follow(text_seconds_, seconds); }
void StepTimes::decoded(double seconds) { follow(vae_seconds_, seconds); }

int StepTimes::best_rows(double least_gain) const {
  RowTime best = curve_.front();
  for (const RowTime& more : curve_) {
    if (more.seconds / more.rows < (1 - least_gain) * best.seconds / best.rows) best = more;
  }
  return best.rows;
}

// Pools neighbours that fall until none does, each pool at its mean: the nondecreasing curve nearest in squares.
void StepTimes::fit() {
  struct Pool {
    double sum;
    size_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Pool> pools;
  for (const RowTime& time : averages_) {
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
    for (size_t i = 0; i < pool.count; i++) curve_.push_back({averages_[curve_.size()].rows, pool.mean()});
  }
}

}  // namespace inkstone
