#include "serve/scheduling/bucket_turns.h"

#include <algorithm>

namespace inkstone::serve {
namespace {

// In quanta: the most that a bucket owes after going first for its deadlines.
constexpr double kMinDeficit = -8;

}  // namespace

void BucketTurns::begin(size_t bucket) {
  if (bucket >= deficits_.size()) deficits_.resize(bucket + 1);
  deficits_[bucket] = 0;
}

size_t BucketTurns::next(const std::vector<BatchBucket>& buckets, const std::vector<Waiting>& waiting,
                         const std::vector<double>& weights, std::optional<size_t> urgent) {
  double quantum = 0;
  for (size_t i = 0; i < buckets.size(); i++) {
    if (waiting[i].rows > 0)
      quantum = std::max({quantum, buckets[i].times.step_seconds(buckets[i].max_batch_rows), waiting[i].worth});
  }
  for (size_t i = 0; i < buckets.size(); i++)
    deficits_[i] = waiting[i].rows > 0 ? std::max(deficits_[i], kMinDeficit * quantum) : 0;
  if (urgent) return *urgent;
  const double heaviest = std::ranges::max(weights);
  bool begins = false;  // its turn
  while (true) {
    const int rows = std::min(waiting[turn_].rows, buckets[turn_].max_batch_rows);
    if (rows > 0 && waiting[turn_].steps) {
      const double step = buckets[turn_].times.step_seconds(rows);
      if (deficits_[turn_] >= (begins ? std::max(step, waiting[turn_].worth) : step)) return turn_;
    }
    turn_ = (turn_ + 1) % buckets.size();
    begins = true;
    if (waiting[turn_].rows > 0) deficits_[turn_] += quantum * weights[turn_] / heaviest;
  }
}

}  // namespace inkstone::serve
