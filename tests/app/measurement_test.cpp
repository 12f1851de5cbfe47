#include "app/measurement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace inkstone {
namespace {

const std::vector<CallProfile> kTwoRuns{
    {"conv2d", "a", 1, 30e9}, {"linear", "b", 0.5, 10e9}, {"conv2d", "c", 2, 30e9},
    {"conv2d", "a", 3, 30e9}, {"linear", "b", 0.5, 10e9}, {"conv2d", "c", 2, 30e9},
};

TEST(Measurement, calls_are_summed_by_op_for_one_run_slowest_first) {
  const std::vector<OpTotals> totals = totals_by_op(kTwoRuns, 2);
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals[0].op, "conv2d");
  EXPECT_EQ(totals[0].calls, 2);
  EXPECT_DOUBLE_EQ(totals[0].seconds, 4);
  EXPECT_DOUBLE_EQ(totals[0].flops, 60e9);
  EXPECT_EQ(totals[1].op, "linear");
  EXPECT_DOUBLE_EQ(totals[1].seconds, 0.5);
}

TEST(Measurement, rates_are_of_the_stages_own_time_and_shares_of_the_peak) {
  const Measurement measurement{"step", {6, 4}, totals_by_op(kTwoRuns, 2)};
  EXPECT_DOUBLE_EQ(measurement.seconds(), 5);
  EXPECT_DOUBLE_EQ(measurement.best_seconds(), 4);
  EXPECT_DOUBLE_EQ(measurement.flops(), 70e9);
  const JsonObject json = measurement_json(measurement, 28e9);
  EXPECT_DOUBLE_EQ(json.at("gflops_per_second").as_double(), 14);
  EXPECT_DOUBLE_EQ(json.at("fraction_of_peak").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(json.at("ops").at(1).at("gflops_per_second").as_double(), 20);
  EXPECT_THAT(measurement_table(measurement, 28e9), testing::HasSubstr("50.0 %"));
}

TEST(Measurement, nothing_is_said_of_a_peak_that_is_not_known) {
  const Measurement measurement{"step", {}, {}};
  const JsonObject json = measurement_json(measurement, 0);
  EXPECT_TRUE(json.at("fraction_of_peak").is_null());
  EXPECT_DOUBLE_EQ(json.at("seconds").as_double(), 0);
}

}  // namespace
}  // namespace inkstone
