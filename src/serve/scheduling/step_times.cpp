#include "serve/scheduling/step_times.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace inkstone::serve {
namespace {

constexpr double kStrange = 4;
constexpr int kSettled = 20;  // observations after which an average moves by a twentieth

bool counts(double seconds) { return std::isfinite(seconds) && seconds > 0; }

bool fewer(const BatchTime& a, const BatchTime& b) { return a.batch_rows < b.batch_rows; }

}  // namespace

void StepTimes::Average::follow(double observed) {
  if (!counts(observed)) return;
  if (seen > 0) observed = std::clamp(observed, seconds / kStrange, seconds * kStrange);
  seen = std::min(seen + 1, kSettled);
  seconds += (observed - seconds) / seen;
}

StepTimes::StepTimes(std::vector<BatchTime> known, double encode_seconds, double decode_seconds, bool estimated) {
  INKSTONE_CHECK(!known.empty(), "step times: nothing is known");
  INKSTONE_CHECK(encode_seconds > 0 && decode_seconds > 0, "step times: text ", encode_seconds, " s, VAE ",
                 decode_seconds, " s");
  const int seen = estimated ? 0 : kSettled;
  decode_ = {decode_seconds, seen};
  // At least the text. An ESRGAN that makes four times the pixels is about the work of the VAE's decoder and encoder, which
  // run too.
  begin_ = {{{encode_seconds, seen}, {encode_seconds, 0}, {encode_seconds + 2 * decode_seconds, 0}}};
  for (const BatchTime& time : known) {
    INKSTONE_CHECK(time.batch_rows > 0 && time.seconds > 0, "step times: ", time.batch_rows, " rows in ", time.seconds,
                   " s");
    INKSTONE_CHECK(averages_.emplace(time.batch_rows, Average{time.seconds, seen}).second,
                   "step times: ", time.batch_rows, " rows stand there twice");
  }
  fit();
}

double StepTimes::step_seconds(int batch_rows) const {
  const auto above = std::ranges::lower_bound(curve_, BatchTime{batch_rows, 0}, fewer);
  if (curve_.size() == 1 && above != curve_.begin()) return curve_[0].seconds / curve_[0].batch_rows * batch_rows;
  if (above == curve_.begin()) return above->seconds;
  const auto high = above == curve_.end() ? above - 1 : above;
  const auto low = high - 1;
  const double slope = (high->seconds - low->seconds) / (high->batch_rows - low->batch_rows);
  return low->seconds + slope * (batch_rows - low->batch_rows);
}

bool StepTimes::settled() const {
  return std::ranges::all_of(averages_, [](const auto& entry) { return entry.second.seen == kSettled; });
}

bool StepTimes::estimated() const {
  return std::ranges::all_of(averages_, [](const auto& entry) { return entry.second.seen == 0; });
}

// A device that is slower than was thought is so in all it does.
void StepTimes::rescale(double factor) {
  for (auto& [rows, average] : averages_)
    if (average.seen == 0) average.seconds *= factor;
  for (Average* average : {&begin_[0], &begin_[1], &begin_[2], &decode_})
    if (average->seen == 0) average->seconds *= factor;
}

void StepTimes::stepped(int batch_rows, double seconds) {
  if (batch_rows < 1 || !counts(seconds)) return;
  const bool first = estimated();
  if (first) rescale(seconds / step_seconds(batch_rows));
  const auto [at, added] =
      averages_.try_emplace(batch_rows, Average{step_seconds(batch_rows), settled() ? kSettled : 0});
  at->second.follow(seconds);
  if (first) std::erase_if(averages_, [](const auto& entry) { return entry.second.seen == 0; });
  fit();
}

void StepTimes::began(Beginning begins, double seconds) { begin_[static_cast<size_t>(begins)].follow(seconds); }
void StepTimes::decoded(double seconds) { decode_.follow(seconds); }

int StepTimes::best_batch_rows(double min_gain) const {
  BatchTime best = curve_.front();
  for (const BatchTime& more : curve_) {
    if (more.seconds / more.batch_rows < (1 - min_gain) * best.seconds / best.batch_rows) best = more;
  }
  return best.batch_rows;
}

int StepTimes::batch_rows_to_try(double min_gain) const {
  const int best = best_batch_rows(min_gain);
  return best == curve_.back().batch_rows ? 2 * best : best;
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
  for (const auto& [rows, average] : averages_) {
    pools.push_back({average.seconds, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  curve_.clear();
  auto at = averages_.begin();
  for (const Pool& pool : pools)
    for (size_t i = 0; i < pool.count; i++, at++) curve_.push_back({at->first, pool.mean()});
}

}  // namespace inkstone::serve
