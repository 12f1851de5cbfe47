// How long a device takes for one image size: the seconds of a step by its batch rows, of encoding
// a text and of decoding an image. It begins with an estimate or with what earlier runs measured,
// and learns from every run. More rows never take less time.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <vector>

#include "serve/scheduling/beginning.h"
#include "serve/wire/batch_time.h"

namespace inkstone::serve {

// By this fraction a row must get cheaper for a larger batch to pay.
inline constexpr double kMinBatchGain = 0.02;

class StepTimes {
 public:
  // `estimated`: nothing of it was measured. The first run replaces it.
  StepTimes(std::vector<BatchTime> known, double encode_seconds, double decode_seconds, bool estimated = false);

  // Linear between measured row counts; beyond them the last slope continues. O(log of the row
  // counts seen).
  double step_seconds(int batch_rows) const;
  double encode_seconds() const { return begin_seconds(Beginning::kText); }
  double decode_seconds() const { return decode_.seconds; }
  double begin_seconds(Beginning begins) const { return begin_[static_cast<size_t>(begins)].seconds; }
  std::vector<BatchTime> curve() const { return curve_; }
  bool estimated() const;  // no step was observed

  // An observation moves the average by a twentieth, or to the mean of all if they are fewer. An
  // outlier counts as at most four times, or at least a quarter of, what was expected.
  void stepped(int batch_rows, double seconds);
  void encoded(double seconds) { began(Beginning::kText, seconds); }
  void decoded(double seconds);
  void began(Beginning begins, double seconds);

  // The largest batch in which a row is cheaper, by more than this fraction, than in the best
  // smaller batch.
  int best_batch_rows(double min_gain) const;
  // The same, or twice as many where no larger batch has been tried: that is how one is.
  int batch_rows_to_try(double min_gain) const;

 private:
  struct Average {
    double seconds;
    int seen;  // observations, at most as many as make it settled
    void follow(double observed);
  };

  bool settled() const;
  void rescale(double factor);  // what is still an estimate
  void fit();                   // averages_ -> curve_

  std::map<int, Average> averages_;  // by rows
  std::vector<BatchTime> curve_;     // the nearest curve that never falls
  std::array<Average, 3> begin_;     // by Beginning
  Average decode_;
};

}  // namespace inkstone::serve
