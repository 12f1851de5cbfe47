// How long a device takes for one image size: the seconds of a step by its batch rows, of encoding
// a text and of decoding an image. Measured at the start, then adjusted slowly. More rows never
// take less time.
#pragma once

#include <vector>

#include "serve/wire/batch_time.h"

namespace inkstone::serve {

class StepTimes {
 public:
  StepTimes(std::vector<BatchTime> measured, double encode_seconds, double decode_seconds);

  // Linear between measured row counts; beyond them the last slope continues. O(log of the row
  // counts seen).
  double step_seconds(int batch_rows) const;
  double encode_seconds() const { return encode_seconds_; }
  double decode_seconds() const { return decode_seconds_; }
  std::vector<BatchTime> curve() const { return curve_; }

  // An observation moves the average by a twentieth. An outlier counts as at most four times, or at
  // least a quarter of, what was expected.
  void stepped(int batch_rows, double seconds);
  void encoded(double seconds);
  void decoded(double seconds);

  // The largest batch in which a row is cheaper, by more than this fraction, than in the best
  // smaller batch.
  int best_batch_rows(double min_gain) const;

 private:
  void fit();  // averages_ -> curve_

  std::vector<BatchTime> averages_;  // by rows
  std::vector<BatchTime> curve_;     // the nearest curve that never falls
  double encode_seconds_, decode_seconds_;
};

}  // namespace inkstone::serve
