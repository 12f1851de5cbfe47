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

size_t BucketTurns::next(const std::vector<BatchBucket>& buckets, const std::vector<int>& rows_waiting,
                         const std::vector<double>& weights, std::optional<size_t> urgent) {
  double quantum = 0;
  for (size_t i = 0; i < buckets.size(); i++) {
    if (rows_waiting[i] > 0) quantum = std::max(quantum, buckets[i].times.step_seconds(buckets[i].max_batch_rows));
  }
  for (size_t i = 0; i < buckets.size(); i++)
    deficits_[i] = rows_waiting[i] > 0 ? std::max(deficits_[i], kMinDeficit * quantum) : 0;
  if (urgent) return *urgent;
  const double heaviest = std::ranges::max(weights);
  while (true) {
    const int rows = std::min(rows_waiting[turn_], buckets[turn_].max_batch_rows);
    if (rows > 0 && deficits_[turn_] >= buckets[turn_].times.step_seconds(rows)) return turn_;
    turn_ = (turn_ + 1) % buckets.size();
    if (rows_waiting[turn_] > 0) deficits_[turn_] += quantum * weights[turn_] / heaviest;
  }
}

}  // namespace inkstone::serve
