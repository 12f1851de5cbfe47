// What passes between host and card, counted by the card: a latent each way in each step, and no
// memory taken after the first image.
#include <gtest/gtest.h>

#include "ascend/simulated_card.h"

namespace inkstone {
namespace {

TEST(Traffic, twenty_steps_make_forty_latent_copies) {
  const SimulatedCard card;
  auto npu = npu_engine();
  draw(*npu, demo_request(*npu, "a bee", 1));
  for (const bool guided : {true, false}) {
    ImageRequest request = demo_request(*npu, "a fox", 2, SchedulerKind::kDdim, 20);
    if (!guided) request.guidance_scale = 1;
    draw(*npu, request);
    Job job = npu->start(npu->resolve(request));
    ASSERT_EQ(job.calls(), 20);
    const int64_t up = card.copies("h2d"), down = card.copies("d2h"), across = card.copies("d2d");
    while (!job.done()) npu->step(job);
    EXPECT_EQ(card.copies("h2d") - up, 20);
    EXPECT_EQ(card.copies("d2h") - down, 20);
    EXPECT_EQ(card.copies("d2d") - across, 0);
  }
}

// The export has programs for 1, 2 and 4 jobs.
TEST(Traffic, three_jobs_step_though_no_program_is_for_three) {
  const SimulatedCard card;
  auto npu = npu_engine();
  npu->reserve({4, 64, 64 * 64});
  std::vector<Job> jobs;
  for (uint64_t seed = 1; seed <= 3; ++seed)
    jobs.push_back(npu->start(npu->resolve(demo_request(*npu, "a fox", seed))));
  npu->programs().step_for({3, 2, 64, 64, UnetPart::kFull});  // as a worker does before it times a step
  std::vector<Job*> all{&jobs[0], &jobs[1], &jobs[2]};
  EXPECT_TRUE(npu->step(all).empty());
  for (const Job& job : jobs) EXPECT_EQ(job.call, 1);
}

TEST(Traffic, no_device_memory_is_taken_after_the_first_image) {
  const SimulatedCard card;
  auto npu = npu_engine();
  const auto two_at_once = [&](uint64_t seed) {
    Job jobs[] = {npu->start(npu->resolve(demo_request(*npu, "a fox " + std::to_string(seed), seed))),
                  npu->start(npu->resolve(demo_request(*npu, "a bee " + std::to_string(seed), seed + 1)))};
    Job* both[] = {&jobs[0], &jobs[1]};
    while (!jobs[0].done()) npu->step(both);
    for (Job& job : jobs) npu->finish(job);
  };
  // until the caches of texts and keys are full
  for (uint64_t seed = 1; seed < 4; ++seed) two_at_once(seed);
  const int64_t before = card.device_allocations();
  for (uint64_t seed = 4; seed < 9; ++seed) two_at_once(seed);
  EXPECT_EQ(card.device_allocations(), before);
}

}  // namespace
}  // namespace inkstone
