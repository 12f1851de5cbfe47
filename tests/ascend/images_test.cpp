// Images drawn on the simulated card, by files that were exported, compiled and are run by an
// interpreter that knows nothing of our graphs, are those of our own backends.
#include <gtest/gtest.h>

#include "ascend/simulated_card.h"
#include "sanitized.h"

namespace inkstone {
namespace {

constexpr double kMinPsnr = 45;  // dB, in fp32

struct Row {
  const char* name;
  SchedulerKind scheduler;
  int width, height;
  bool guided;
};

class Images : public testing::TestWithParam<Row> {
 protected:
  ImageRequest request(const Engine& engine, uint64_t seed) const {
    const Row& row = GetParam();
    ImageRequest made =
        demo_request(engine, "a red apple to the left of a bee", seed, row.scheduler, kSanitized ? 2 : 4);
    made.width = row.width;
    made.height = row.height;
    if (!row.guided) made.guidance_scale = 1;
    return made;
  }
};

TEST_P(Images, are_those_of_the_cpu_alone_and_in_batches) {
  const SimulatedCard card;
  auto host = host_engine();
  {
    auto npu = npu_engine();
    std::vector<Job> jobs;
    std::vector<Job*> all;
    for (uint64_t seed = 1; seed <= 7; ++seed) jobs.push_back(npu->start(npu->resolve(request(*npu, seed))));
    for (Job& job : jobs) all.push_back(&job);
    const std::span<Job* const> apart(all);
    while (!all[0]->done()) {
      npu->step(*all[0]);
      npu->step(apart.subspan(1, 2));
      npu->step(apart.subspan(3, 4));
    }
    for (Job& job : jobs)
      EXPECT_GE(psnr(npu->finish(job), draw(*host, request(*host, job.request.seed))), kMinPsnr)
          << "seed " << job.request.seed;
  }
  EXPECT_EQ(card.left_behind(), "");
}

INSTANTIATE_TEST_SUITE_P(Rows, Images,
                         testing::Values(Row{"pndm", SchedulerKind::kPndm, 64, 64, true},
                                         Row{"ddim_wide", SchedulerKind::kDdim, 96, 64, true},
                                         Row{"ddim_odd", SchedulerKind::kDdim, 84, 76, true},
                                         Row{"euler_unguided", SchedulerKind::kEuler, 64, 64, false},
                                         Row{"dpmpp", SchedulerKind::kDpmpp2M, 64, 64, true},
                                         Row{"unipc_wide_unguided", SchedulerKind::kUniPc, 96, 64, false},
                                         Row{"euler_ancestral_wide", SchedulerKind::kEulerAncestral, 96, 64, true}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Images, are_those_of_the_reference) {
  const SimulatedCard card;
  auto host = host_engine("reference"), npu = npu_engine();
  EXPECT_GE(psnr(draw(*npu, demo_request(*npu, "a fox", 3, SchedulerKind::kPndm, 1)),
                 draw(*host, demo_request(*host, "a fox", 3, SchedulerKind::kPndm, 1))),
            kMinPsnr);
}

TEST(Images, of_other_exports_are_near) {
  const SimulatedCard card;
  auto host = host_engine();
  const ImageRequest plain = demo_request(*host, "a fox", 3);
  const Image right = draw(*host, plain);
  for (const auto& [name, min] : {std::pair("fp16", 30.0), std::pair("mixed", 35.0), std::pair("gears", 45.0)}) {
    auto npu = npu_engine(compiled_demo(name));
    EXPECT_GE(psnr(draw(*npu, plain), right), min) << name;
  }
  ImageRequest odd = plain;
  odd.width = 84, odd.height = 76;
  auto npu = npu_engine(compiled_demo("gears"));
  EXPECT_GE(psnr(draw(*npu, odd), draw(*host, odd)), kMinPsnr);
}

TEST(Images, in_batches_that_were_not_compiled_use_those_that_were) {
  const SimulatedCard card;
  auto host = host_engine();
  auto npu = npu_engine();
  std::vector<Job> jobs;
  std::vector<Job*> all;
  for (uint64_t seed = 1; seed <= 3; ++seed)
    jobs.push_back(npu->start(npu->resolve(demo_request(*npu, "a fox", seed))));
  for (Job& job : jobs) all.push_back(&job);
  while (!all[0]->done()) npu->step(all);
  for (Job& job : jobs)
    EXPECT_GE(psnr(npu->finish(job), draw(*host, demo_request(*host, "a fox", job.request.seed))), kMinPsnr);
}

}  // namespace
}  // namespace inkstone
