// When requests are sent: fixed before the run, so that a slow server can't slow down who asks (an
// open loop).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace inkstone {

enum class ArrivalKind { kPoisson, kBursty, kEven };
ArrivalKind arrival_kind(std::string_view name);  // "poisson", "bursty", "even"; else UsageError

struct ArrivalPlan {
  ArrivalKind kind = ArrivalKind::kPoisson;
  // A second, over all of the time, bursts and pauses together.
  double rate = 1;
  // No arrival after that; 0: only the count ends it.
  double seconds = 0;
  // No more than that; 0: only the time ends it.
  int64_t count = 0;
  // Of bursty: Poisson while on, nothing while off; begins on.
  double on_seconds = 2, off_seconds = 6;
  uint64_t seed = 1;
};

// Seconds from the start, rising. At most kMaxArrivals; UsageError where the plan has no end.
constexpr int64_t kMaxArrivals = 1'000'000;
std::vector<double> arrival_times(const ArrivalPlan& plan);

}  // namespace inkstone
