// Keeps one kind of work within a fraction f of the device's time. The seconds that the work takes
// are a debt. Each second that other work takes pays off f / (1 - f) seconds of it. The work may
// run when its debt is zero. It cannot save up more than the last run of other work paid off.
#pragma once

#include <algorithm>

namespace inkstone::serve {

class TimeShare {
 public:
  explicit TimeShare(double fraction) : fraction_(std::clamp(fraction, 0.01, 0.99)) {}
  bool may() const { return debt_ <= 1e-9; }
  bool affords(double seconds) const { return debt_ + seconds <= 0; }
  void took(double seconds) { debt_ += seconds; }
  void others_took(double seconds) { debt_ = std::max(debt_, 0.0) - seconds * fraction_ / (1 - fraction_); }

 private:
  double fraction_, debt_ = 0;
};

}  // namespace inkstone::serve
