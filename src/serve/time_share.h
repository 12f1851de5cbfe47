// A share of the device's time: whoever took some may take more when the others had theirs since.
#pragma once

#include <algorithm>

namespace inkstone {

class TimeShare {
 public:
  explicit TimeShare(double fraction) : fraction_(std::clamp(fraction, 0.01, 0.99)) {}
  bool may() const { return debt_ <= 1e-9; }
  void took(double seconds) { debt_ += seconds; }
  void others_took(double seconds) { debt_ = std::max(0.0, debt_ - seconds * fraction_ / (1 - fraction_)); }

 private:
  double fraction_, debt_ = 0;
};

}  // namespace inkstone
