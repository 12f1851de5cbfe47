#include "load/arrivals.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "load/dice.h"

namespace inkstone {

ArrivalKind arrival_kind(std::string_view name) {
  if (name == "poisson") return ArrivalKind::kPoisson;
  if (name == "bursty") return ArrivalKind::kBursty;
  if (name == "even") return ArrivalKind::kEven;
  fail<UsageError>(INKSTONE_HERE, {"--arrivals ", name, ": there are poisson, bursty and even"});
}

std::vector<double> arrival_times(const ArrivalPlan& plan) {
  INKSTONE_CHECK_USAGE(plan.rate > 0 && std::isfinite(plan.rate), "--rate ", plan.rate, ": more than 0 is needed");
  INKSTONE_CHECK_USAGE(plan.seconds > 0 || plan.count > 0, "a run needs an end: --seconds or --count");
  const bool bursty = plan.kind == ArrivalKind::kBursty;
  INKSTONE_CHECK_USAGE(!bursty || (plan.on_seconds > 0 && plan.off_seconds >= 0), "--on ", plan.on_seconds, " --off ",
                       plan.off_seconds, ": a burst takes some time, a pause none or some");
  const double cycle = plan.on_seconds + plan.off_seconds;
  const double rate = bursty ? plan.rate * cycle / plan.on_seconds : plan.rate;
  const int64_t max = plan.count > 0 ? std::min(plan.count, kMaxArrivals) : kMaxArrivals;
  Dice dice(plan.seed);
  std::vector<double> times;
  double clock = 0;  // runs while on
  while (static_cast<int64_t>(times.size()) < max) {
    clock += plan.kind == ArrivalKind::kEven ? 1 / rate : dice.exponential(1 / rate);
    const double time = bursty ? clock + std::floor(clock / plan.on_seconds) * plan.off_seconds : clock;
    if (plan.seconds > 0 && time > plan.seconds) break;
    times.push_back(time);
  }
  return times;
}

}  // namespace inkstone
