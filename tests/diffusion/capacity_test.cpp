// What a server needs of the engine: a fault is of one job alone, one plan for all requests, and memory that requests cannot make grow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "diffusion/generate.h"
#include "sanitized.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

Engine demo_engine(Precision precision = Precision::kFp32, size_t budget = 0) {
  EngineOptions options;
  options.precision = precision;
  options.memory_budget = budget;
  return Engine(Pipeline::open(std::filesystem::path(INKSTONE_SOURCE_DIR) / "demo" / "model"), options);
}

ImageRequest request(const Engine& engine, const std::string& prompt, uint64_t seed, const std::string& scheduler = "",
                     int steps = 3) {
  ImageRequest r;
  r.prompt = prompt;
  r.seed = seed;
  r.steps = steps;
  r.guidance_scale = engine.pipeline().traits.guidance_scale;
  r.width = r.height = 64;
  if (!scheduler.empty()) r.scheduler = scheduler;
  return r;
}

std::vector<Job> started(Engine& engine, const std::vector<ImageRequest>& requests) {
  std::vector<Job> jobs;
  for (const ImageRequest& r : requests) jobs.push_back(engine.start(engine.resolve(r)));
  return jobs;
}

TEST(Faults, a_nan_ends_one_job_and_the_others_go_on_to_the_same_bits) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16})
    for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      Engine engine = demo_engine(precision);
      std::vector<ImageRequest> requests;
      for (int i = 0; i < 5; ++i)
        requests.push_back(request(engine, "a fox", 10 + i, i % 2 ? "euler-ancestral" : "ddim", 3));
      requests[4].guidance_scale = 1;  // steps in a call of its own
      std::vector<Image> alone;
      for (const ImageRequest& r : requests) alone.push_back(generate(engine, engine.resolve(r)).image);

      std::vector<Job> jobs = started(engine, requests);
      std::vector<Job*> open;
      for (Job& job : jobs) open.push_back(&job);
      EXPECT_TRUE(engine.step(open).empty());
      std::ranges::fill(jobs[1].latent.floats(), wrong);
      const std::vector<RowFault> faults = engine.step(open);
      ASSERT_EQ(faults.size(), 1u);
      EXPECT_EQ(faults[0].job, &jobs[1]);
      EXPECT_EQ(faults[0].kind, Error::Kind::kNotFinite);
      EXPECT_THAT(faults[0].message, HasSubstr("call 2 of 3"));
      EXPECT_EQ(jobs[1].call, 1);
      std::erase(open, &jobs[1]);
      EXPECT_TRUE(engine.step(open).empty());  // what it left in memory is nobody's
      for (const size_t i : {0, 2, 3, 4}) EXPECT_EQ(engine.finish(jobs[i]).rgb, alone[i].rgb) << "job " << i;
      EXPECT_EQ(generate(engine, engine.resolve(requests[1])).image.rgb, alone[1].rgb);
    }
}

TEST(Faults, of_the_only_job_are_thrown) {
  Engine engine = demo_engine();
  Job job = engine.start(engine.resolve(request(engine, "a fox", 1)));
  std::ranges::fill(job.latent.floats(), NAN);
  try {
    engine.step(job);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::kNotFinite);
    EXPECT_THAT(error.what(), HasSubstr("the U-Net (call 1 of"));
  }
  try {
    engine.decode(job);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::kNotFinite);
  }
}

TEST(Job, an_offloaded_one_goes_on_to_the_same_bits) {
  Engine engine = demo_engine();
  const ImageRequest r = request(engine, "a fox", 1);
  const Image alone = generate(engine, engine.resolve(r)).image;
  Job job = engine.start(engine.resolve(r));
  engine.offload(job);
  EXPECT_TRUE(job.conditioning.empty());
  engine.step(job);
  EXPECT_FALSE(job.conditioning.empty());
  engine.offload(job);
  for (int i = 0; i < 20; ++i)
    engine.start(engine.resolve(request(engine, "prompt " + std::to_string(i), 1)));  // nothing of it is kept
  while (!job.done()) engine.step(job);
  EXPECT_EQ(engine.finish(job).rgb, alone.rgb);
}

TEST(Job, can_be_decoded_whatever_steps_are_left) {
  Engine engine = demo_engine();
  Job job = engine.start(engine.resolve(request(engine, "a fox", 1)));
  engine.step(job);
  EXPECT_THROW(engine.finish(job), Error);
  const Image early = engine.decode(job);
  EXPECT_EQ(early.width, 64);
  while (!job.done()) engine.step(job);
  EXPECT_EQ(engine.finish(job).rgb, engine.decode(job).rgb);
  EXPECT_NE(engine.decode(job).rgb, early.rgb);
}

TEST(Capacity, images_are_the_same_with_it_and_without) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16})
    for (const bool small : {false, true}) {
      if (kSanitized && small != (precision == Precision::kBf16)) continue;  // each once
      const Capacity capacity{4, 256, 128 * 128};
      Engine plain = demo_engine(precision);
      Engine engine = demo_engine(precision);
      if (small) engine.set_memory_budget(engine.reserve({1, 256, 128 * 128}).peak_bytes - 1);
      const EnginePlan plan = engine.reserve(capacity);
      EXPECT_EQ(plan.components_in_turn, small);
      for (const auto& [width, height] : {std::pair{64, 64}, {128, 128}, {256, 64}, {64, 128}}) {
        ImageRequest r = request(engine, "a bee", 3, "", 2);
        r.width = width;
        r.height = height;
        EXPECT_EQ(generate(engine, engine.resolve(r)).image.rgb, generate(plain, plain.resolve(r)).image.rgb)
            << width << "x" << height;
        EXPECT_EQ(engine.plan(engine.resolve(r)).peak_bytes, plan.peak_bytes);
      }
    }
}

TEST(Capacity, refuses_what_is_beyond_it) {
  Engine engine = demo_engine();
  engine.reserve({2, 256, 128 * 128});
  const auto refusal = [&](auto change) -> std::string {
    ImageRequest r = request(engine, "a bee", 1);
    change(r);
    try {
      engine.resolve(r);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal([](ImageRequest& r) { r.width = 256; }), "accepted");
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = 260; }), HasSubstr("a multiple of 4 from 4 to 256"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = r.height = 132; }), HasSubstr("at most 16384"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.cache_interval = 3; }), HasSubstr("planned without approximations"));
  EXPECT_THROW(engine.reserve({0, 256, 128 * 128}), UsageError);
  EXPECT_THROW(engine.reserve({1, 3, 128 * 128}), UsageError);
  EXPECT_THROW(engine.reserve({1, 256, 8}), UsageError);
}

TEST(Capacity, counts_the_memory_of_a_call_of_so_many_jobs) {
  Engine engine = demo_engine();
  const size_t small = engine.reserve({1, 256, 256 * 256}).peak_bytes;
  engine.set_memory_budget(0);
  const size_t large = engine.reserve({4, 256, 256 * 256}).peak_bytes;
  ASSERT_LT(small, large);
  engine.set_memory_budget((small + large) / 2);
  const EnginePlan& plan = engine.reserve({4, 256, 256 * 256});
  EXPECT_LT(plan.jobs, 4);
  EXPECT_LE(plan.peak_bytes, (small + large) / 2);
  EXPECT_FALSE(plan.components_in_turn);
  ASSERT_FALSE(plan.reasons.empty());
  EXPECT_THAT(plan.reasons.back(), HasSubstr("not 4"));

  std::vector<Job> jobs = started(engine, std::vector<ImageRequest>(4, request(engine, "a bee", 1)));  // in pieces
  std::vector<Job*> open;
  for (Job& job : jobs) open.push_back(&job);
  EXPECT_TRUE(engine.step(open).empty());
  for (const Job& job : jobs) EXPECT_EQ(job.call, 1);

  Engine tiny = demo_engine(Precision::kFp32, size_t{1} << 20);
  try {
    tiny.reserve({4, 256, 256 * 256});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the least that works is"));
  }
}

TEST(Capacity, programs_of_many_sizes_do_not_pile_up) {
  Engine engine = demo_engine();
  engine.reserve({2, 1024, 64 * 1024});
  const ImageRequest first = request(engine, "a bee", 1, "", 1);
  const Image right = generate(engine, engine.resolve(first)).image;
  for (int i = 1; i <= 40; ++i) {
    ImageRequest r = first;
    r.width = 16 * i;
    r.height = 32;
    generate(engine, engine.resolve(r));
    EXPECT_LE(engine.programs().size(), 28u);
  }
  EXPECT_EQ(generate(engine, engine.resolve(first)).image.rgb, right.rgb);
}

}  // namespace
}  // namespace inkstone
