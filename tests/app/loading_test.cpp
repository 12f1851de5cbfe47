#include "app/loading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config_file.h"
#include "app/report.h"
#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

ModelTraits model() {
  ModelTraits result{.steps = 12, .guidance_scale = 3.0f, .width = 64, .height = 128, .scheduler = {}};
  result.scheduler = std::make_shared<const Json>(parse_json(
      R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.001, "steps_offset": 1, "use_karras_sigmas": false})",
      "x"));
  return result;
}

TEST(Request, the_nearest_source_of_a_default_holds) {
  Options options;
  options.request.steps = 5;
  apply_config("steps = 6\nguidance = 2\nscheduler = \"ddim\"\n", "c.toml", options);
  const ResolvedRequest request = resolve(options.request, model());
  EXPECT_EQ(request.steps, 5);              // flag
  EXPECT_EQ(request.guidance_scale, 2.0f);  // file
  EXPECT_EQ(request.scheduler_config.kind, SchedulerKind::kDdim);
  EXPECT_DOUBLE_EQ(request.scheduler_config.beta_start, 0.001);  // the model's setting for the file's scheduler
  EXPECT_EQ(request.height, 128);                                // model
}

TEST(Request, a_fault_names_the_flag) {
  EngineOptions engine_options;
  engine_options.precision = Precision::kFp32;
  const Engine engine(Pipeline::open(demo_model()), engine_options);
  const auto refusal = [&](auto change) -> std::string {
    ImageRequest request;
    change(request);
    try {
      resolve_request(engine, request);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal([](ImageRequest&) {}), "accepted");
  EXPECT_THAT(refusal([](ImageRequest& r) { r.width = 102; }),
              testing::StartsWith("--width 102: must be a multiple of"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.karras = true; }),
              testing::StartsWith("--karras true: must be false with"));
  EXPECT_THAT(refusal([](ImageRequest& r) { r.steps = 3, r.guidance_scale = 101; }),
              testing::StartsWith("--guidance 101: must be a number from 0 to 100"));
}

TEST(Engine, options_reach_the_engine) {
  Options options;
  const EngineOptions defaults = engine_options(options);
  EXPECT_EQ(defaults.device, "cpu");
  EXPECT_FALSE(defaults.precision);
  EXPECT_EQ(defaults.vae_tiling, Choice::kAuto);
  EXPECT_EQ(defaults.memory_budget, 0u);
  apply_config(
      "device = 'reference'\nprecision = 'bf16'\nvae-tiling = 'on'\nattention-slicing = 'off'\nmemory-budget = '1MiB'",
      "c.toml", options);
  const EngineOptions set = engine_options(options);
  EXPECT_EQ(set.device, "reference");
  EXPECT_EQ(set.precision, Precision::kBf16);
  EXPECT_EQ(set.vae_tiling, Choice::kOn);
  EXPECT_EQ(set.attention_slicing, Choice::kOff);
  EXPECT_EQ(set.memory_budget, size_t{1} << 20);
}

TEST(Report, numbers_read_well) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(859'520'964), "859,520,964");
  EXPECT_EQ(grouped(-12'345), "-12,345");
  EXPECT_EQ(millions(1'066'235'307), "1066.24M");
  EXPECT_EQ(shortest(0.1f), 0.1);
  EXPECT_EQ(shortest(7.5f), 7.5);
}

TEST(Report, the_plan_says_what_was_given_up) {
  EnginePlan plan;
  plan.stages.push_back(
      {"unet", "unet", StagePosition::kEachStep, false, {.weights = 100 << 20, .mapped = 50 << 20, .arena = 1 << 20}});
  plan.peak_bytes = size_t{200} << 20;
  plan.vae_tiling = plan.components_in_turn = true;
  plan.reasons = {"the VAE is tiled, which saves 40 MiB"};
  EXPECT_THAT(plan_table(plan), testing::HasSubstr("given up: the VAE is tiled, which saves 40 MiB\n"));
  EXPECT_THAT(plan_table(plan), testing::HasSubstr("151 MiB"));
  EXPECT_THAT(plan_table(plan), testing::Not(testing::HasSubstr("owned weights")));
  plan.owned_bytes = size_t{7} << 20;
  EXPECT_THAT(plan_table(plan), testing::HasSubstr("7.00 MiB"));
  EXPECT_EQ(plan_json(plan).at("owned_bytes").as_uint64(), plan.owned_bytes);
  EXPECT_EQ(plan_line(plan), "200 MiB planned, one component in memory at a time, VAE tiled");
  EXPECT_EQ(plan_json(plan).at("given_up").as_array().size(), 1u);
}

}  // namespace
}  // namespace inkstone
