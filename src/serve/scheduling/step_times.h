// How long a device takes, for one shape: seconds of a step by its rows, of a text, of an image's decoding.
// Measured at start, followed slowly afterwards; more rows never take less time.
#pragma once

#include <vector>

#include "serve/wire/batch_time.h"

namespace inkstone::serve {

class StepTimes {
 public:
  StepTimes(std::vector<BatchTime> measured, double encode_seconds, double decode_seconds);

  // Linear between what was measured, on with the last slope beyond it. O(log of the row counts seen).
  double step_seconds(int batch_rows) const;
  double encode_seconds() const { return encode_seconds_; }
  double decode_seconds() const { return decode_seconds_; }
  std::vector<BatchTime> curve() const { return curve_; }

  // What was observed moves the average by a twentieth; one strange run counts as four times what was expected at most.
  void stepped(int batch_rows, double seconds);
  void encoded(double seconds);
  void decoded(double seconds);

  // The most rows that still make a row cheaper by more than this fraction than the fewer rows chosen before them.
  int best_batch_rows(double min_gain) const;

 private:
  void fit();  // averages_ -> curve_

  std::vector<BatchTime> averages_;  // by rows
  std::vector<BatchTime> curve_;     // the nearest that never falls
  double encode_seconds_, decode_seconds_;
};

}  // namespace inkstone::serve
