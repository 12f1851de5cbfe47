// The measured curve: between, beyond and before its points, how it follows, and the cap that it
// gives.
#include "serve/scheduling/step_times.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace inkstone::serve {
namespace {

StepTimes three() { return StepTimes({{8, 4.0}, {2, 1.0}, {4, 1.5}}, 0.1, 0.5); }

TEST(StepTimes, are_linear_between_what_was_measured_and_go_on_with_the_last_slope) {
  const std::vector<BatchTime> expected = {{1, 1.0}, {2, 1.0}, {3, 1.25}, {4, 1.5}, {6, 2.75}, {8, 4.0}, {10, 5.25}};
  for (const auto& [rows, seconds] : expected) EXPECT_DOUBLE_EQ(three().step_seconds(rows), seconds) << rows;
  EXPECT_DOUBLE_EQ(StepTimes({{2, 1.0}}, 1, 1).step_seconds(6), 3.0);
}

TEST(StepTimes, never_fall_with_more_rows) {
  StepTimes times({{1, 2.0}, {2, 1.0}, {4, 3.0}}, 1, 1);
  EXPECT_DOUBLE_EQ(times.step_seconds(1), 1.5);
  for (int i = 0; i < 500; i++) times.stepped(1 + i * 7 % 9, 0.1 + i * 13 % 17);
  for (int rows = 1; rows < 20; rows++) EXPECT_LE(times.step_seconds(rows), times.step_seconds(rows + 1)) << rows;
}

TEST(StepTimes, follow_what_is_observed_slowly_and_a_strange_run_hardly) {
  StepTimes times = three();
  times.stepped(2, 1000);
  EXPECT_LT(times.step_seconds(2), 1.2);
  times.stepped(2, -1);
  times.encoded(0.0 / 0.0);
  EXPECT_DOUBLE_EQ(times.encode_seconds(), 0.1);
  for (int i = 0; i < 300; i++) {
    times.stepped(8, 6);
    // A row count that was not measured.
    times.stepped(3, 1.4);
    times.decoded(0.7);
  }
  EXPECT_NEAR(times.step_seconds(8), 6, 0.01);
  EXPECT_NEAR(times.step_seconds(3), 1.4, 0.01);
  EXPECT_NEAR(times.decode_seconds(), 0.7, 0.01);
}

TEST(StepTimes, of_an_estimate_follow_the_first_run_at_once_and_settle) {
  StepTimes times({{1, 1}}, 2, 3, true);
  EXPECT_TRUE(times.estimated());
  times.stepped(2, 10);  // five times what was thought
  EXPECT_FALSE(times.estimated());
  EXPECT_DOUBLE_EQ(times.step_seconds(2), 10);
  EXPECT_DOUBLE_EQ(times.step_seconds(4), 20);
  EXPECT_DOUBLE_EQ(times.encode_seconds(), 10) << "the device is slower in all it does";
  times.decoded(1);
  EXPECT_DOUBLE_EQ(times.decode_seconds(), 1);
  times.stepped(2, 20);
  EXPECT_DOUBLE_EQ(times.step_seconds(2), 15) << "the mean, while there are few";
  for (int i = 0; i < 200; i++) times.stepped(2, 12);
  EXPECT_NEAR(times.step_seconds(2), 12, 0.1);
}

TEST(StepTimes, a_larger_batch_is_tried_while_the_largest_so_far_pays_best) {
  EXPECT_EQ(StepTimes({{2, 1}}, 1, 1).batch_rows_to_try(0.02), 4);
  EXPECT_EQ(StepTimes({{2, 1}, {4, 1.5}}, 1, 1).batch_rows_to_try(0.02), 8);
  EXPECT_EQ(StepTimes({{2, 1}, {4, 2}}, 1, 1).batch_rows_to_try(0.02), 2);
}

TEST(StepTimes, the_best_rows_are_the_max_that_still_pay) {
  struct Case {
    std::vector<BatchTime> curve;
    double min_gain;
    int rows;
  };
  const std::vector<Case> cases = {{{{1, 1}, {2, 2}, {4, 4}}, 0.05, 1},
                                   {{{1, 1}, {2, 1.8}, {4, 3.55}, {8, 7.1}}, 0.05, 2},
                                   {{{1, 1}, {2, 1.1}, {4, 1.5}, {8, 2.6}, {16, 5.1}}, 0.05, 8},
                                   {{{1, 1}, {2, 1.1}, {4, 1.5}, {8, 2.6}, {16, 5.1}}, 0.01, 16}};
  for (const Case& c : cases) EXPECT_EQ(StepTimes(c.curve, 1, 1).best_batch_rows(c.min_gain), c.rows);
}

TEST(StepTimes, of_nothing_or_of_nonsense_are_refused) {
  EXPECT_THROW(StepTimes({}, 1, 1), Error);
  EXPECT_THROW(StepTimes({{1, 0}}, 1, 1), Error);
  EXPECT_THROW(StepTimes({{1, 1}, {1, 2}}, 1, 1), Error);
  EXPECT_THROW(StepTimes({{1, 1}}, 0, 1), Error);
}

}  // namespace
}  // namespace inkstone::serve
