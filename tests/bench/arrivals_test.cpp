// When requests are sent: the statistics that a load is named after, the same on every machine.
#include "load/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace inkstone {
namespace {

std::vector<double> gaps(const std::vector<double>& times) {
  std::vector<double> result;
  for (size_t i = 1; i < times.size(); ++i) result.push_back(times[i] - times[i - 1]);
  return result;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double variation(const std::vector<double>& values) {  // standard deviation / mean
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return std::sqrt(squares / static_cast<double>(values.size())) / middle;
}

TEST(Arrivals, poisson_gaps_are_exponential) {
  const std::vector<double> times = arrival_times({.rate = 5, .count = 20000, .seed = 7});
  ASSERT_EQ(times.size(), 20000u);
  EXPECT_NEAR(mean(gaps(times)), 0.2, 0.006);
  EXPECT_NEAR(variation(gaps(times)), 1.0, 0.03);  // 1 of an exponential
}

TEST(Arrivals, counts_of_poisson_vary_as_much_as_they_are) {
  const std::vector<double> times = arrival_times({.rate = 20, .seconds = 2000, .seed = 3});
  std::vector<double> counts(2000);
  for (const double time : times) ++counts[std::min<size_t>(static_cast<size_t>(time), 1999)];
  const double spread = variation(counts) * mean(counts);
  EXPECT_NEAR(mean(counts), 20, 0.4);
  EXPECT_NEAR(spread * spread / mean(counts), 1.0, 0.12);
}

TEST(Arrivals, bursts_keep_the_rate_and_their_pauses) {
  const std::vector<double> times = arrival_times(
      {.kind = ArrivalKind::kBursty, .rate = 4, .seconds = 4000, .on_seconds = 1, .off_seconds = 3, .seed = 5});
  EXPECT_NEAR(static_cast<double>(times.size()) / 4000, 4, 0.15);
  for (const double time : times) EXPECT_LE(std::fmod(time, 4.0), 1.0 + 1e-6) << time;
  EXPECT_GT(variation(gaps(times)), 1.5);
}

TEST(Arrivals, even_ones_are_even) {
  const std::vector<double> times = arrival_times({.kind = ArrivalKind::kEven, .rate = 4, .count = 8});
  for (const double gap : gaps(times)) EXPECT_NEAR(gap, 0.25, 1e-12);
}

TEST(Arrivals, the_same_seed_gives_the_same_times_and_another_others) {
  const ArrivalPlan plan{.rate = 2, .count = 50, .seed = 11};
  ArrivalPlan other = plan;
  other.seed = 12;
  EXPECT_EQ(arrival_times(plan), arrival_times(plan));
  EXPECT_NE(arrival_times(plan), arrival_times(other));
  EXPECT_NEAR(arrival_times({.rate = 1, .count = 1, .seed = 1})[0], 0.14372793716, 1e-9);  // on every machine
}

TEST(Arrivals, a_run_ends) {
  const std::vector<double> timed = arrival_times({.rate = 100, .seconds = 2});
  EXPECT_LE(timed.back(), 2);
  EXPECT_EQ(arrival_times({.rate = 100, .seconds = 1000, .count = 30}).size(), 30u);
  EXPECT_THROW(arrival_times({.rate = 1}), UsageError);
  EXPECT_THROW(arrival_times({.rate = 0, .seconds = 1}), UsageError);
  EXPECT_THROW(arrival_times({.rate = NAN, .seconds = 1}), UsageError);
  EXPECT_THROW(arrival_kind("often"), UsageError);
}

}  // namespace
}  // namespace inkstone
