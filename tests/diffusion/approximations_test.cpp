// The engine with approximations: off they change nothing, on they do what they say, and an image still depends on its
// request alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "diffusion/generate.h"

namespace inkstone {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

Engine demo_engine(Precision precision = Precision::kFp32) {
  EngineOptions options;
  options.precision = precision;
  return Engine(Pipeline::open(fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model"), options);
}

ImageRequest request(int cache_interval, Interval guidance = {}, SchedulerKind kind = SchedulerKind::kPndm,
                     int steps = 5) {
  ImageRequest r;
  r.prompt = "a red apple";
  r.seed = 3;
  r.steps = steps;
  r.guidance_scale = 3;
  r.width = r.height = 64;
  r.scheduler = name_of(kind);
  r.cache_interval = cache_interval;
  r.guidance_interval = guidance;
  return r;
}

TEST(Approximations, off_change_nothing_whatever_was_drawn_before) {
  Engine plain = demo_engine(), used = demo_engine();
  const Image right = generate(plain, plain.resolve(request(1))).image;
  const Image cached = generate(used, used.resolve(request(2))).image,
              partly = generate(used, used.resolve(request(1, {0, 0.5f}))).image;
  EXPECT_NE(cached.rgb, right.rgb);
  EXPECT_NE(partly.rgb, right.rgb);
  EXPECT_EQ(generate(used, used.resolve(request(1))).image.rgb, right.rgb);
  EXPECT_EQ(generate(used, used.resolve(request(2))).image.rgb, cached.rgb);
  EXPECT_EQ(generate(used, used.resolve(request(1, {0, 0.5f}))).image.rgb, partly.rgb);
}

TEST(Approximations, stay_near_the_image) {
  Engine engine = demo_engine();
  const auto drawn = [&](int cache_interval, Interval guidance) {
    ImageRequest r = request(cache_interval, guidance, SchedulerKind::kPndm, 20);
    r.prompt = "a fox on a teal background";
    r.seed = 42;
    return generate(engine, engine.resolve(r)).image;
  };
  const Image right = drawn(1, {});
  EXPECT_GE(psnr(drawn(2, {}), right), 30);
  EXPECT_GE(psnr(drawn(3, {}), right), 28);
  EXPECT_GE(psnr(drawn(1, {0.1f, 0.8f}), right), 25);
}

TEST(Approximations, images_are_the_same_alone_and_in_any_company) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    Engine engine = demo_engine(precision);
    std::vector<ImageRequest> requests{request(3), request(3, {0.2f, 0.7f}),
                                       request(2), request(1, {0.3f, 1}),
                                       request(1), request(2, {}, SchedulerKind::kEulerAncestral, 4)};
    requests[1].seed = 7;
    requests[2].prompt = "a fox";
    requests[2].guidance_scale = 1;
    std::vector<Image> alone;
    for (const ImageRequest& r : requests) alone.push_back(generate(engine, engine.resolve(r)).image);

    std::vector<Job> jobs;
    for (const ImageRequest& r : requests) jobs.push_back(engine.start(engine.resolve(r)));
    engine.step(jobs[0]);  // the others follow at other places of their intervals
    engine.step(jobs[2]);
    for (;;) {
      std::vector<Job*> open;
      for (Job& job : jobs)
        if (!job.done()) open.push_back(&job);
      if (open.empty()) break;
      engine.step(open);
    }
    for (size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(engine.finish(jobs[i]).rgb, alone[i].rgb) << "request " << i;
  }
}

TEST(Approximations, several_jobs_in_one_program_are_those_alone) {
  Engine engine = demo_engine();
  std::vector<Image> alone;
  std::vector<Job> jobs;
  for (const uint64_t seed : {1, 2, 3}) {
    ImageRequest r = request(2, {0.2f, 0.8f});
    r.seed = seed;
    alone.push_back(generate(engine, engine.resolve(r)).image);
    jobs.push_back(engine.start(engine.resolve(r)));
  }
  std::vector<Job*> all{&jobs[2], &jobs[0], &jobs[1]};
  while (!jobs[0].done()) engine.step(all);
  for (size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(engine.finish(jobs[i]).rgb, alone[i].rgb) << i;
}

TEST(Approximations, a_shallow_call_runs_less_and_keeps_its_feature_until_a_whole_one) {
  Engine engine = demo_engine(Precision::kBf16);
  Job job = engine.start(engine.resolve(request(3, {}, SchedulerKind::kDdim)));
  const auto flops = [&](UnetPart part) {
    Program& program = engine.programs().step({1, 2, 64, 64, part}).program();
    double sum = 0;
    for (const CallProfile& call : program.take_profile()) sum += call.flops;
    program.start_profile();
    return sum;
  };
  flops(UnetPart::kFullKeepFeature), flops(UnetPart::kShallow);
  engine.step(job);
  const double whole = flops(UnetPart::kFullKeepFeature);
  EXPECT_GT(whole, 0);
  EXPECT_EQ(job.cached_feature.type(), DType::kBF16);
  EXPECT_EQ(job.cached_feature.dim(0), 2);
  const std::byte* kept = job.cached_feature.data();
  engine.step(job);
  engine.step(job);
  EXPECT_EQ(flops(UnetPart::kFullKeepFeature), 0);
  EXPECT_LT(flops(UnetPart::kShallow), whole / 2);
  EXPECT_EQ(job.cached_feature.data(), kept);
  engine.step(job);
  EXPECT_EQ(flops(UnetPart::kFullKeepFeature), whole);
}

TEST(Approximations, are_in_the_plan) {
  Engine engine = demo_engine();
  const EnginePlan plain = engine.plan(engine.resolve(request(1))), cached = engine.plan(engine.resolve(request(3))),
                   partly = engine.plan(engine.resolve(request(1, {0, 0.5f})));
  EXPECT_EQ(plain.peak_bytes, engine.plan(engine.resolve(request(1))).peak_bytes);
  EXPECT_EQ(plain.use("unet_shallow").total(), 0u);
  EXPECT_GT(cached.use("unet_shallow").total(), 0u);
  EXPECT_LT(cached.use("unet_shallow").total(), cached.use("unet").total());
  EXPECT_GT(cached.carried_bytes, plain.carried_bytes);
  EXPECT_GT(partly.carried_bytes, plain.carried_bytes);
  EXPECT_GE(cached.peak_bytes, plain.peak_bytes);
}

TEST(Approximations, keep_to_a_budget) {
  Engine engine = demo_engine();
  const ImageRequest r = request(2, {0.1f, 0.9f});
  const Image right = generate(engine, engine.resolve(r)).image;
  engine.set_memory_budget(engine.plan(engine.resolve(r)).peak_bytes - 1);
  ASSERT_TRUE(engine.plan(engine.resolve(r)).components_in_turn);
  EXPECT_EQ(generate(engine, engine.resolve(r)).image.rgb, right.rgb);
  size_t least = 0;
  engine.set_memory_budget(1 << 20);
  try {
    engine.plan(engine.resolve(r));
  } catch (const UsageError& error) {
    const std::string text = error.what();
    least = std::stoul(text.substr(text.find("works is ") + 9)) << 20;
  }
  engine.set_memory_budget(least);
  EXPECT_LE(engine.plan(engine.resolve(r)).peak_bytes, least);
  EXPECT_TRUE(engine.plan(engine.resolve(r)).weight_streaming);
  EXPECT_EQ(generate(engine, engine.resolve(r)).image.rgb, right.rgb);
}

TEST(Approximations, that_cannot_be_are_refused_with_the_way_out) {
  Engine engine = demo_engine();
  const auto refusal = [&](int cache_interval, Interval guidance, float scale = 3) -> std::string {
    ImageRequest r = request(cache_interval, guidance);
    r.guidance_scale = scale;
    try {
      engine.resolve(r);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal(1, {}), "accepted");
  EXPECT_EQ(refusal(1000, {0.5f, 0.5f}), "accepted");
  EXPECT_EQ(refusal(2, {}, 1), "accepted");
  EXPECT_THAT(refusal(0, {}), HasSubstr("cache_interval 0: must be a whole number from 1 to 1000"));
  EXPECT_THAT(refusal(-3, {}), HasSubstr("cache_interval -3"));
  EXPECT_THAT(refusal(1, {0.6f, 0.5f}), HasSubstr("guidance_interval 0.6,0.5: must be FROM,TO"));
  EXPECT_THAT(refusal(1, {-1, 0.5f}), HasSubstr("such as 0.1,0.8"));
  EXPECT_THAT(refusal(1, {0, NAN}), HasSubstr("such as 0.1,0.8"));
  EXPECT_THAT(refusal(1, {0, 0.5f}, 1),
              HasSubstr("the guidance scale is 1: ask for more than 1, or leave the interval out"));
}

}  // namespace
}  // namespace inkstone
