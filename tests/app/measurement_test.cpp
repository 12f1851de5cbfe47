#include "app/measurement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/bench_report.h"
#include "base/json.h"

namespace inkstone {
namespace {

using Profile = std::vector<CallProfile>;

const Profile kRun{{"conv2d", "a", 1, 30e9, 5e6}, {"linear", "b", 0.5, 10e9, 1e6}, {"conv2d", "c", 2, 30e9, 5e6}};
const Profile kSlowRun{{"conv2d", "a", 7, 30e9, 5e6}, {"linear", "b", 0.7, 10e9, 1e6}, {"conv2d", "c", 9, 30e9, 5e6}};

TEST(Measurement, calls_are_summed_by_op_in_each_run_and_the_median_run_counts_slowest_first) {
  const std::vector<Profile> runs{kRun, kSlowRun, kRun};
  const std::vector<OpTotals> totals = totals_by_op(runs);
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals[0].op, "conv2d");
  EXPECT_EQ(totals[0].calls, 2);
  EXPECT_DOUBLE_EQ(totals[0].seconds, 3);
  EXPECT_DOUBLE_EQ(totals[0].flops, 60e9);
  EXPECT_DOUBLE_EQ(totals[0].bytes, 10e6);
  EXPECT_EQ(totals[1].op, "linear");
  EXPECT_DOUBLE_EQ(totals[1].seconds, 0.5);
}

TEST(Measurement, what_only_the_first_of_several_runs_does_is_no_part_of_a_run) {
  Profile first = kRun;
  first.push_back({"hoisted", "d", 4, 8e9, 1e6});
  const std::vector<Profile> runs{first, kRun, kRun};
  const std::vector<OpTotals> totals = totals_by_op(runs);
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals[0].op, "conv2d");
  EXPECT_EQ(totals[1].op, "linear");
}

TEST(Measurement, medians_are_in_the_middle) {
  EXPECT_DOUBLE_EQ(median({}), 0);
  EXPECT_DOUBLE_EQ(median({3}), 3);
  EXPECT_DOUBLE_EQ(median({9, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({9, 1, 2, 4}), 3);
}

TEST(Measurement, rates_are_of_the_models_work_whatever_was_saved_of_it) {
  Measurement measurement{"step", 84e9};
  measurement.runs = {6, 4, 6};
  measurement.profiles = {kRun};
  EXPECT_DOUBLE_EQ(measurement.seconds(), 6);
  EXPECT_DOUBLE_EQ(measurement.best_seconds(), 4);
  const JsonObject json = measurement_json(measurement, 28e9);
  EXPECT_DOUBLE_EQ(json.at("flops").as_double(), 84e9);
  EXPECT_DOUBLE_EQ(json.at("flops_run").as_double(), 70e9);
  EXPECT_DOUBLE_EQ(json.at("gflops_per_second").as_double(), 14);
  EXPECT_DOUBLE_EQ(json.at("fraction_of_peak").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(json.at("best_fraction_of_peak").as_double(), 0.75);
  EXPECT_DOUBLE_EQ(json.at("bytes_moved").as_double(), 11e6);
  EXPECT_EQ(json.at("calls").to_number<int>(), 3);
  EXPECT_DOUBLE_EQ(json.at("ops").at(1).at("gflops_per_second").as_double(), 20);
  EXPECT_THAT(measurement_table(measurement, 28e9),
              testing::AllOf(testing::HasSubstr("84.00 GFLOP, 14.0 GFLOP/s, 50.0 % of peak (75.0 %"),
                             testing::HasSubstr("70.00")));
}

TEST(Measurement, nothing_is_said_of_a_peak_that_is_not_known) {
  const Measurement measurement{"step"};
  const JsonObject json = measurement_json(measurement, 0);
  EXPECT_TRUE(json.at("fraction_of_peak").is_null());
  EXPECT_DOUBLE_EQ(json.at("seconds").as_double(), 0);
  EXPECT_THAT(measurement_table(measurement, 0), testing::Not(testing::HasSubstr("% of peak")));
}

}  // namespace
}  // namespace inkstone
