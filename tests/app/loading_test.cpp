#include "app/loading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config_file.h"
#include "app/report.h"
#include "base/error.h"
#include "base/json.h"

namespace inkstone {
namespace {

Pipeline model() {
  Pipeline result;
  result.defaults = {12, 3.0f, 64, 96};
  result.scheduler_json = std::make_shared<const Json>(parse_json(
      R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.001, "steps_offset": 1, "use_karras_sigmas": false})",
      "x"));
  return result;
}

TEST(Request, the_models_own_files_say_what_nobody_else_says) {
  const Request request = request_of({}, model());
  EXPECT_EQ(request.steps, 12);
  EXPECT_EQ(request.guidance, 3.0f);
  EXPECT_EQ(request.width, 64);
  EXPECT_EQ(request.height, 96);
  EXPECT_EQ(request.scheduler.kind, SchedulerKind::kEuler);
  EXPECT_DOUBLE_EQ(request.scheduler.beta_start, 0.001);
}

TEST(Request, the_nearest_source_of_a_default_holds) {
  Options options;
  options.steps = 5;
  apply_config("steps = 6\nguidance = 2\nscheduler = \"ddim\"\n", "c.toml", options);
  const Request request = request_of(options, model());
  EXPECT_EQ(request.steps, 5);        // flag
  EXPECT_EQ(request.guidance, 2.0f);  // file
  EXPECT_EQ(request.scheduler.kind, SchedulerKind::kDdim);
  EXPECT_DOUBLE_EQ(request.scheduler.beta_start, 0.001);  // the model's setting for the file's scheduler
  EXPECT_EQ(request.height, 96);                          // model
}

TEST(Request, karras_and_eta_are_for_the_schedulers_that_have_them) {
  for (const std::string& name : scheduler_names()) {
    Options karras, eta;
    karras.scheduler = eta.scheduler = name;
    karras.karras = true;
    eta.eta = 0.5f;
    if (name == "euler" || name == "dpm++-2m" || name == "dpm++-2m-sde" || name == "unipc")
      EXPECT_TRUE(scheduler_of(karras, model()).karras) << name;
    else
      EXPECT_THROW(scheduler_of(karras, model()), UsageError) << name;
    if (name == "ddim")
      EXPECT_EQ(scheduler_of(eta, model()).eta, 0.5f);
    else
      EXPECT_THROW(scheduler_of(eta, model()), UsageError) << name;
  }
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
