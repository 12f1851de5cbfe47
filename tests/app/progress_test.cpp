#include "app/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace inkstone {
namespace {

TEST(Progress, durations_read_well) {
  EXPECT_EQ(duration_text(0), "0.000 s");
  EXPECT_EQ(duration_text(0.0042), "0.004 s");
  EXPECT_EQ(duration_text(0.25), "0.25 s");
  EXPECT_EQ(duration_text(0.999), "1.0 s");
  EXPECT_EQ(duration_text(4.24), "4.2 s");
  EXPECT_EQ(duration_text(59.99), "1:00");
  EXPECT_EQ(duration_text(65), "1:05");
  EXPECT_EQ(duration_text(7209), "2:00:09");
  EXPECT_EQ(duration_text(-1), "0.000 s");
}

TEST(Progress, rates_are_steps_a_second_or_seconds_a_step) {
  EXPECT_EQ(rate_text(15, 2), "7.50 it/s");
  EXPECT_EQ(rate_text(50, 2), "25.0 it/s");
  EXPECT_EQ(rate_text(1, 3), "0.33 it/s");
  EXPECT_EQ(rate_text(2, 25), "12.5 s/it");
  EXPECT_EQ(rate_text(0, 0), "");
  EXPECT_EQ(rate_text(1, 0), "");
}

TEST(Progress, the_bar_fills_with_the_steps) {
  EXPECT_EQ(progress_bar({1, 1, 0, 20, 0, 20}, 40), "[.................................] 0/20");
  EXPECT_EQ(progress_bar({1, 1, 10, 20, 5, 20}, 100),
            "[####################....................] 10/20, 2.00 it/s, 5.0 s left");
  EXPECT_EQ(progress_bar({1, 1, 20, 20, 10, 20}, 100),
            "[########################################] 20/20, 2.00 it/s, 10.0 s");
  EXPECT_THAT(progress_bar({2, 4, 10, 20, 5, 20}, 100), testing::StartsWith("image 2/4 [####"));
}

TEST(Progress, the_bar_is_never_wider_than_the_terminal) {
  for (int columns = 0; columns < 200; ++columns)
    EXPECT_LE(progress_bar({3, 12, 17, 21, 1234.5, 21}, columns).size(), static_cast<size_t>(columns));
  EXPECT_EQ(progress_bar({1, 1, 10, 20, 5, 20}, 34), "10/20, 2.00 it/s, 5.0 s left");
}

TEST(Progress, lines_say_how_far) {
  EXPECT_EQ(progress_text({1, 1, 2, 21, 4, 21}), "step 2 of 21 (9 %), 0.50 it/s, 38.0 s left");
  EXPECT_EQ(progress_text({2, 3, 21, 21, 42, 21}), "image 2 of 3: step 21 of 21 (100 %), 0.50 it/s, 42.0 s");
}

TEST(Progress, steps_are_those_that_were_asked_for) {
  // PNDM makes 20 steps in 21 evaluations, of which the first two are the first step
  EXPECT_EQ(progress_text({1, 1, 21, 21, 42, 20}), "step 20 of 20 (100 %), 0.50 it/s, 42.0 s");
  EXPECT_THAT(progress_bar({1, 1, 11, 21, 5, 20}, 100), testing::HasSubstr(" 10/20, "));
}

TEST(Progress, one_step_is_no_plural) {
  EXPECT_EQ(steps_text(1), "1 step");
  EXPECT_EQ(steps_text(20), "20 steps");
}

TEST(Progress, a_clock_runs_until_the_first_step_is_done) {
  EXPECT_EQ(first_step_text({1, 1, 0, 0, 0, 20}, 0.4), "step 1 of 20 \u2026");
  EXPECT_EQ(first_step_text({1, 1, 0, 0, 0, 20}, 11.9), "step 1 of 20 \u2026 11 s");
  EXPECT_EQ(first_step_text({2, 3, 0, 0, 0, 20}, 65.2), "image 2 of 3: step 1 of 20 \u2026 1:05");
  Ticker ticker;
  std::atomic<int> ticks = 0;
  ticker.start([&] { ++ticks; });
  while (ticks < 2) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ticker.stop();
  const int before = ticks;
  ticker.stop();
  EXPECT_EQ(ticks, before);
}

TEST(Progress, a_run_gets_at_most_ten_lines_and_always_the_last) {
  for (int total : {1, 2, 7, 10, 20, 21, 50, 1000}) {
    int lines = 0;
    for (int done = 0; done <= total; ++done) lines += is_reported(done, total);
    EXPECT_EQ(lines, std::min(total, 10)) << total;
    EXPECT_TRUE(is_reported(total, total));
  }
}

}  // namespace
}  // namespace inkstone
