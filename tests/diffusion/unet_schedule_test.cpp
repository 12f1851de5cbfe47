// What is asked of the U-Net, call by call.
#include "diffusion/unet_schedule.h"

#include <gtest/gtest.h>

#include <string>

namespace inkstone {
namespace {

// A letter a call: W whole, S shallow; small without the unconditional half.
std::string schedule(int cache_interval, Interval guidance, bool guided, int calls) {
  ResolvedRequest request;
  request.guided = guided;
  request.cache_interval = cache_interval;
  request.guidance_interval = guidance;
  std::string text;
  for (const UnetEvaluation& call : unet_schedule(request, calls)) {
    EXPECT_EQ(call.part == UnetPart::kFull, cache_interval == 1);
    const bool shallow = call.part == UnetPart::kShallow;
    text += call.cfg_copies == 2 ? (shallow ? 'S' : 'W') : (shallow ? 's' : 'w');
  }
  return text;
}

TEST(UnetSchedule, without_approximations_is_full_and_guided_where_the_image_is) {
  EXPECT_EQ(schedule(1, {}, true, 5), "WWWWW");
  EXPECT_EQ(schedule(1, {}, false, 5), "wwwww");
  EXPECT_EQ(schedule(1, {}, true, 1), "W");
}

TEST(UnetSchedule, every_nth_evaluation_is_full) {
  EXPECT_EQ(schedule(2, {}, true, 5), "WSWSW");
  EXPECT_EQ(schedule(3, {}, false, 7), "wsswssw");
  EXPECT_EQ(schedule(9, {}, true, 3), "WSS");
}

TEST(UnetSchedule, guidance_is_in_the_evaluations_whose_middle_lies_in_the_interval) {
  EXPECT_EQ(schedule(1, {0, 0.5f}, true, 10), "WWWWWwwwww");
  EXPECT_EQ(schedule(1, {0.1f, 0.8f}, true, 10), "wWWWWWWWww");
  EXPECT_EQ(schedule(1, {0.5f, 1}, true, 3), "wWW");
  EXPECT_EQ(schedule(1, {0.5f, 0.5f}, true, 4), "wwww");
  EXPECT_EQ(schedule(1, {0, 0.5f}, false, 4), "wwww");
}

TEST(UnetSchedule, an_evaluation_is_full_where_guidance_sets_in_and_not_where_it_ends) {
  EXPECT_EQ(schedule(3, {0.2f, 0.7f}, true, 10), "wsWWSSWssw");
  EXPECT_EQ(schedule(4, {0.1f, 0.6f}, true, 10), "wWSSWSssws");
}

}  // namespace
}  // namespace inkstone
