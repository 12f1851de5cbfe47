// Which size bucket steps next, by deficit round robin: each turn gives a bucket a quantum of
// seconds times its weight, from which it pays for its steps. A bucket in which nothing waits loses
// what it has left. One whose turn would begin with a switch of models waits until it has saved
// enough to make that worth it.
#pragma once

#include <optional>
#include <vector>

#include "serve/scheduling/job_table.h"

namespace inkstone::serve {

// What waits in a bucket.
struct Waiting {
  int rows = 0;       // for a step, or for anything where its model is not in memory
  bool steps = true;  // some of them can step now, or the model is not in memory
  double worth = 0;   // seconds that its turn must last to begin, if it is not in memory
};

class BucketTurns {
 public:
  void begin(size_t bucket);  // with nothing saved or owed
  // At least one bucket has rows that wait. An urgent bucket does not wait for its turn, but its
  // step is paid for too. Each bucket with rows has a weight above 0.
  size_t next(const std::vector<BatchBucket>& buckets, const std::vector<Waiting>& waiting,
              const std::vector<double>& weights, std::optional<size_t> urgent);
  void pay(size_t bucket, double seconds) { deficits_[bucket] -= seconds; }
  size_t turn() const { return turn_; }  // the bucket whose turn it is

 private:
  // Seconds that each bucket may step before the next one's turn.
  std::vector<double> deficits_;
  size_t turn_ = 0;
};

}  // namespace inkstone::serve
