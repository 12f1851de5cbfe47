// When requests are sent: fixed before the run, so that a slow server can't slow down who asks (an open loop).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace inkstone {

enum class ArrivalKind { kPoisson, kBursty, kEven };
ArrivalKind arrival_kind(std::string_view name);  // "poisson", "bursty", "even"; else UsageError

struct ArrivalPlan {
  ArrivalKind kind = ArrivalKind::kPoisson;
  double rate = 1;                         // a second, over all of the time, bursts and pauses together
  double seconds = 0;                      // no arrival after that; 0: only the count ends it
  int64_t count = 0;                       // no more than that; 0: only the time ends it
  double on_seconds = 2, off_seconds = 6;  // of bursty: Poisson while on, nothing while off; begins on
  uint64_t seed = 1;
};

// Seconds from the start, rising. At most kMaxArrivals; UsageError where the plan has no end.
constexpr int64_t kMaxArrivals = 1'000'000;
std::vector<double> arrival_times(const ArrivalPlan& plan);

}  // namespace inkstone
