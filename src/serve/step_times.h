// How long a device takes, for one shape: seconds of a step by its rows, of a text, of a picture's decoding.
// Measured at start, followed slowly afterwards; more rows never take less time.
#pragma once

#include <vector>

namespace inkstone {

struct RowTime {
  int rows;
  double seconds;
};

class StepTimes {
 public:
  StepTimes(std::vector<RowTime> measured, double text_seconds, double vae_seconds);

  // Linear between what was measured, on with the last slope beyond it. O(log of the row counts seen).
  double step_seconds(int rows) const;
  double text_seconds() const { return text_seconds_; }
  double vae_seconds() const { return vae_seconds_; }
  std::vector<RowTime> curve() const { return curve_; }

  // What was observed moves the average by a twentieth; one strange run counts as four times what was expected at most.
  void stepped(int rows, double seconds);
  void encoded(double seconds);
  void decoded(double seconds);

  // The most rows that still make a row cheaper by more than this fraction than the fewer rows chosen before them.
  int best_rows(double least_gain) const;

 private:
  void fit();  // averages_ -> curve_

  std::vector<RowTime> averages_;  // by rows
  std::vector<RowTime> curve_;     // the nearest that never falls
  double text_seconds_, vae_seconds_;
};

}  // namespace inkstone
