// The engine's promises: an image depends on its request alone, requests that cannot run are refused with the way out, and
// what will be needed of memory is known before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/image.h"
#include "diffusion/generate.h"
#include "diffusion/process.h"
#include "diffusion/request_fields.h"
#include "diffusion/unet_parts.h"
#include "sanitized.h"

namespace inkstone {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

const fs::path kDemo = fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model";

Engine demo_engine(EngineOptions options = {}) {
  if (!options.precision) options.precision = Precision::kFp32;
  return Engine(Pipeline::open(kDemo), options);
}

ImageRequest request(const Engine& engine, const std::string& prompt, uint64_t seed,
                     SchedulerKind kind = SchedulerKind::kPndm, int steps = 3) {
  ImageRequest r;
  r.prompt = prompt;
  r.seed = seed;
  r.steps = steps;
  r.guidance_scale = engine.pipeline().traits.guidance_scale;
  r.width = r.height = 64;
  r.scheduler = name_of(kind);
  return r;
}

ImageRequest of_size(int width, int height) {
  ImageRequest r;
  r.width = width;
  r.height = height;
  return r;
}

TEST(Engine, an_image_is_the_same_alone_and_in_any_company) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    EngineOptions options;
    options.precision = precision;
    Engine engine = demo_engine(options);
    std::vector<ImageRequest> requests{
        request(engine, "a red apple", 1), request(engine, "a fox", 2, SchedulerKind::kEulerAncestral, 4),
        request(engine, "two cats", 3, SchedulerKind::kDdim, 2),
        request(engine, "a [(fox:1.2)|bee] BREAK a [dog:0.5]", 4), request(engine, "a fox BREAK a dog", 5)};
    requests[1].guidance_scale = 1;  // no unconditional half
    requests[2].negative_prompt = "a dog";
    std::vector<Image> alone;
    for (const ImageRequest& r : requests) alone.push_back(generate(engine, engine.resolve(r)).image);

    std::vector<Job> jobs;
    for (const ImageRequest& r : requests) jobs.push_back(engine.start(engine.resolve(r)));
    for (;;) {  // each leaves when it is done, so the batch changes under the others
      std::vector<Job*> open;
      for (Job& job : jobs)
        if (!job.done()) open.push_back(&job);
      if (open.empty()) break;
      std::ranges::reverse(open);
      engine.step(open);
    }
    for (size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(engine.finish(jobs[i]).rgb, alone[i].rgb) << "request " << i;
  }
}

// A run of a program ends with its outputs.
size_t runs(Program& program, size_t outputs) {
  const std::vector<CallProfile> calls = program.take_profile();
  const auto is_output = [](const CallProfile& call) { return call.op == "output"; };
  return static_cast<size_t>(std::ranges::count_if(calls, is_output)) / outputs;
}

TEST(Engine, what_a_prompt_or_a_schedule_decides_is_computed_once) {
  Engine engine = demo_engine();
  ImageRequest r = request(engine, "a fox", 1, SchedulerKind::kDdim, 4);
  r.negative_prompt = "a dog";
  engine.prepare(engine.resolve(r));
  const auto program = [&](const char* stage) -> Program& { return engine.programs().before_steps(stage).program(); };
  const auto watch = [&] {
    for (const char* stage : {"text_encoder", "unet_prompt", "unet_time"}) program(stage).start_profile();
  };
  const UnetParts parts = unet_parts(engine.pipeline().unet_config, {1, 8, 8}, DType::kF32);
  const size_t keys = parts.part(DependsOn::kPrompt).values.size(),
               times = parts.part(DependsOn::kTimestep).values.size();
  const auto expect_runs = [&](size_t texts, size_t prompts, size_t timesteps) {
    EXPECT_EQ(runs(program("text_encoder"), 1), texts);
    EXPECT_EQ(runs(program("unet_prompt"), keys), prompts);
    EXPECT_EQ(runs(program("unet_time"), times), timesteps);
  };
  watch();
  Job job = engine.start(engine.resolve(r));
  expect_runs(2, 2, 4);
  watch();
  while (!job.done()) engine.step(job);
  expect_runs(0, 0, 0);
  r.prompt = "two cats";  // the negative prompt and the schedule are known
  r.seed = 2;
  watch();
  generate(engine, engine.resolve(r));
  expect_runs(1, 1, 0);
  r.steps = 2;
  watch();
  generate(engine, engine.resolve(r));
  EXPECT_EQ(runs(program("text_encoder"), 1), 0u);
}

TEST(Engine, jobs_outlive_what_the_engine_keeps) {
  Engine engine = demo_engine();
  const ImageRequest first = request(engine, "a red apple", 1, SchedulerKind::kEuler, 3);
  const Image alone = generate(engine, engine.resolve(first)).image;
  Job job = engine.start(engine.resolve(first));
  for (const char* prompt : {"a fox", "two cats", "a bee", "a dog", "an owl", "a boat"})
    generate(engine, engine.resolve(request(engine, prompt, 2, SchedulerKind::kDdim, 50)));
  while (!job.done()) engine.step(job);
  EXPECT_EQ(engine.finish(job).rgb, alone.rgb);
}

TEST(Engine, counts_what_is_carried_to_the_steps) {
  Engine engine = demo_engine();
  const EnginePlan plan = engine.plan(engine.resolve(of_size(64, 64)));
  const UnetParts parts = unet_parts(engine.pipeline().unet_config, {1, 8, 8}, DType::kF32);
  size_t prompt = 0, time = 0;
  const Graph &of_prompt = parts.part(DependsOn::kPrompt).graph, &of_time = parts.part(DependsOn::kTimestep).graph;
  for (const int id : of_prompt.outputs()) prompt += bytes(of_prompt.node(id).shape, DType::kF32);
  for (const int id : of_time.outputs()) time += bytes(of_time.node(id).shape, DType::kF32);
  EXPECT_GE(plan.carried_bytes, 6 * prompt + 128 * time);
  EXPECT_GE(plan.peak_bytes, plan.program_bytes + plan.carried_bytes + plan.use("unet").total());
}

TEST(LruCache, drops_what_was_used_longest_ago) {
  LruCache<int, int> kept(2);
  kept.put(1, 10);
  kept.put(2, 20);
  EXPECT_EQ(*kept.find(1), 10);
  kept.put(3, 30);
  EXPECT_EQ(kept.find(2), nullptr);
  EXPECT_EQ(*kept.find(1), 10);
  EXPECT_EQ(kept.put(3, 31), 31);
  EXPECT_EQ(kept.size(), 2u);
}

TEST(Engine, the_demo_image_is_diffusers_one) {
  std::ifstream file(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/demo_golden.png", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const Image right = decode_png(std::as_bytes(std::span(bytes))).image;
  for (const auto& [precision, least] : {std::pair{Precision::kFp32, 45.0}, std::pair{Precision::kBf16, 30.0}}) {
    EngineOptions options;
    options.precision = precision;
    Engine engine = demo_engine(options);
    ImageRequest r = request(engine, "a fox on a teal background", 42, SchedulerKind::kPndm, 20);
    r.guidance_scale = 3;
    EXPECT_GE(psnr(generate(engine, engine.resolve(r)).image, right), least);
  }
}

TEST(Engine, tiling_and_slicing_do_not_change_the_image) {
  Engine plain = demo_engine();
  ImageRequest r = request(plain, "a fox on a teal background", 5);
  r.width = 128;  // enough pixels for bands
  r.height = 160;
  EngineOptions options;
  options.vae_tiling = options.attention_slicing = Choice::kOn;
  Engine frugal = demo_engine(options);
  const EnginePlan large = plain.plan(plain.resolve(r)), small = frugal.plan(frugal.resolve(r));
  EXPECT_TRUE(small.vae_tiling);
  EXPECT_TRUE(small.attention_slicing);
  EXPECT_LT(small.use("vae").work(), large.use("vae").work());
  EXPECT_EQ(generate(frugal, frugal.resolve(r)).image.rgb, generate(plain, plain.resolve(r)).image.rgb);
}

TEST(Engine, a_budget_makes_components_take_turns_or_is_refused_with_the_least_that_works) {
  Engine engine = demo_engine();
  const ImageRequest r = request(engine, "a bee", 9);
  const Image right = generate(engine, engine.resolve(r)).image;
  const size_t budget = engine.plan(engine.resolve(of_size(64, 64))).peak_bytes - 1;
  engine.set_memory_budget(budget);
  const EnginePlan plan = engine.plan(engine.resolve(of_size(64, 64)));
  EXPECT_TRUE(plan.components_in_turn);
  EXPECT_LE(plan.peak_bytes, budget);
  EXPECT_FALSE(plan.reasons.empty());
  EXPECT_EQ(generate(engine, engine.resolve(r)).image.rgb, right.rgb);

  engine.set_memory_budget(1 << 20);
  try {
    engine.plan(engine.resolve(of_size(64, 64)));
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the least that works is"));
  }
}

// The short form of the soak: memory stays what it was after the first images.
TEST(Engine, many_images_take_no_more_memory_than_the_first_ones) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer keeps what is freed";
  Engine engine = demo_engine();
  ImageRequest r = request(engine, "a bee", 1, SchedulerKind::kDdim, 2);
  const auto draw = [&](uint64_t seed) {
    r.seed = seed;
    r.guidance_scale = seed % 2 ? 1.0f : 3.0f;
    generate(engine, engine.resolve(r));
  };
  for (uint64_t seed = 0; seed < 10; ++seed) draw(seed);
  const size_t before = resident_bytes();
  for (uint64_t seed = 10; seed < 90; ++seed) draw(seed);
  EXPECT_LE(resident_bytes(), before + (size_t{1} << 20));
}

TEST(Engine, weights_that_pass_through_memory_draw_the_same_image) {
  Engine engine = demo_engine();
  const ImageRequest r = request(engine, "a bee", 9);
  const Image right = generate(engine, engine.resolve(r)).image;
  const EnginePlan everything = engine.plan(engine.resolve(of_size(64, 64)));
  EnginePlan plan = everything;
  for (size_t budget = plan.peak_bytes; !plan.weight_streaming; budget -= size_t{1} << 18) {
    engine.set_memory_budget(budget);
    plan = engine.plan(engine.resolve(of_size(64, 64)));
  }
  EXPECT_TRUE(plan.components_in_turn);
  EXPECT_LT(plan.use("unet").mapped, everything.use("unet").mapped);
  EXPECT_EQ(generate(engine, engine.resolve(r)).image.rgb, right.rgb);
  EXPECT_EQ(generate(engine, engine.resolve(r)).image.rgb, right.rgb);
}

TEST(Engine, refuses_requests_with_the_way_out) {
  Engine engine = demo_engine();
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
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = 102; }),
              HasSubstr("a multiple of 4 from 4 to 16384: the nearest are 100 and 104"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.height = 3; }), HasSubstr("height 3: must be a multiple of 4"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.height = -16; }), HasSubstr("height -16"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = 1 << 30; }), HasSubstr("width"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.steps = 0; }),
              HasSubstr("num_inference_steps 0: must be a whole number from 1 to 1000"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.guidance_scale = -1; }),
              HasSubstr("guidance_scale -1: must be a number from 0 to 100"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.guidance_scale = NAN; }), HasSubstr("guidance"));
}

TEST(Engine, a_long_plain_prompt_is_cut_with_a_warning_that_quotes_it) {
  Engine engine = demo_engine();
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "apple ";
  ImageRequest asked = request(engine, prompt + "zebra", 1, SchedulerKind::kPndm, 1);
  EXPECT_TRUE(generate(engine, engine.resolve(asked)).warnings.empty());
  asked.prompt_syntax = "plain";
  const Generated made = generate(engine, engine.resolve(asked));
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_THAT(made.warnings[0], HasSubstr("zebra"));
}

TEST(Engine, a_prompt_of_too_many_chunks_is_refused_before_anything_runs) {
  Engine engine = demo_engine();
  ImageRequest asked = request(engine, "a BREAK b BREAK c", 1);
  Capacity capacity;
  capacity.jobs = 1;
  capacity.max_side = 64;
  capacity.max_pixels = 64 * 64;
  capacity.prompt_chunks = 2;
  engine.reserve(capacity);
  try {
    engine.resolve(asked);
    FAIL();
  } catch (const RequestError& error) {
    EXPECT_THAT(error.what(), HasSubstr("prompt: more than 150 tokens"));
    EXPECT_STREQ(error.field().name, "prompt");
  }
  asked.prompt = "a BREAK b";
  EXPECT_EQ(engine.start(engine.resolve(asked)).prompts.chunks, 2);
}

TEST(Engine, an_edited_prompt_makes_keys_and_values_at_its_step_alone) {
  Engine engine = demo_engine();
  const ImageRequest asked = request(engine, "a [fox:bee:2]", 1, SchedulerKind::kDdim, 4);
  engine.prepare(engine.resolve(asked));
  const auto program = [&](const char* stage) -> Program& { return engine.programs().before_steps(stage).program(); };
  const UnetParts parts = unet_parts(engine.pipeline().unet_config, {1, 8, 8}, DType::kF32);
  const size_t keys = parts.part(DependsOn::kPrompt).values.size();
  for (const char* stage : {"text_encoder", "unet_prompt"}) program(stage).start_profile();
  Job job = engine.start(engine.resolve(asked));
  EXPECT_EQ(runs(program("text_encoder"), 1), 3u);  // all texts, and the negative one
  EXPECT_EQ(runs(program("unet_prompt"), keys), 2u);
  for (const size_t made : {0, 0, 1, 0}) {
    for (const char* stage : {"text_encoder", "unet_prompt"}) program(stage).start_profile();
    engine.step(job);
    EXPECT_EQ(runs(program("text_encoder"), 1), 0u);
    EXPECT_EQ(runs(program("unet_prompt"), keys), made) << job.call;
  }
}

TEST(Engine, a_job_that_was_offloaded_goes_on_with_the_text_of_its_step) {
  Engine engine = demo_engine();
  const ImageRequest asked = request(engine, "a [fox:(bee:1.2):2] BREAK [a|b]", 1, SchedulerKind::kDdim, 4);
  const Image right = generate(engine, engine.resolve(asked)).image;
  Job job = engine.start(engine.resolve(asked));
  while (!job.done()) {
    engine.offload(job);
    engine.step(job);
  }
  EXPECT_EQ(engine.finish(job).rgb, right.rgb);
}

}  // namespace
}  // namespace inkstone
