// Which models draw in few steps, by what they are called, and what they are run with.
#include "diffusion/few_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/resolved_request.h"

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ModelTraits traits() {
  ModelTraits result;
  result.scheduler = std::make_shared<const Json>(parse_json(
      R"({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "steps_offset": 1})", "scheduler"));
  return result;
}

TEST(FewSteps, are_known_by_the_names_that_such_models_have) {
  struct Row {
    const char *name, *kind;
    int steps;
  };
  const Row rows[] = {{"sdxl_lightning_4step", "lightning", 4},
                      {"sdxl_lightning_8step_unet", "lightning", 8},
                      {"sdxl_lightning_1step_unet_x0", "lightning", 1},
                      {"juggernautXL_v9Rdphoto2Lightning", "lightning", 0},
                      {"Fox_Lightning_v2_4-Steps", "lightning", 4},
                      {"sd_xl_turbo_1.0_fp16", "sdxl-turbo", 0},
                      {"stabilityai/sdxl-turbo", "sdxl-turbo", 0},
                      {"sd_turbo", "sd-turbo", 0},
                      {"stabilityai/sd-turbo", "sd-turbo", 0},
                      {"Hyper-SDXL-8steps-lora", "hyper", 8},
                      {"realisticVision_hyper 4step", "hyper", 4},
                      {"lcm-lora-sdxl", "lcm", 0},
                      {"SimianLuo/LCM_Dreamshaper_v7", "lcm", 0},
                      {"epicDreamLCM", "lcm", 0},
                      {"RealCMix_v2", "", 0},
                      {"pixel_cm", "", 0},
                      {"artcdetail", "", 0},
                      {"hyperrealism_v3", "", 0},
                      {"dreamshaperXL_v21TurboDPMSDE", "", 0},
                      {"sd_xl_base_1.0", "", 0},
                      {"stepfox_20step", "", 0}};
  for (const Row& row : rows) {
    const std::optional<FewStep> found = few_step_of_name(row.name);
    EXPECT_EQ(found ? found->kind->name : std::string(), row.kind) << row.name;
    EXPECT_EQ(found ? found->steps : 0, row.steps) << row.name;
  }
  EXPECT_THAT(few_step_hint("dreamshaperXL_v21TurboDPMSDE"), HasSubstr("Turbo"));
  EXPECT_THAT(few_step_hint("sd_xl_turbo_1.0"), IsEmpty());
}

TEST(FewSteps, set_a_models_defaults) {
  ModelTraits model = traits();
  apply(*few_step_of_name("sdxl_lightning_4step"), true, model);
  ResolvedRequest request = resolve({}, model);
  EXPECT_EQ(request.steps, 4);
  EXPECT_FALSE(request.guided);
  EXPECT_EQ(request.scheduler_config.kind, SchedulerKind::kEuler);
  EXPECT_EQ(request.scheduler_config.spacing, TimestepSpacing::kTrailing);
  EXPECT_EQ(request.scheduler_config.prediction, PredictionType::kEpsilon);
  EXPECT_THAT(request.warnings, IsEmpty());
  EXPECT_EQ(model.few_step, "Lightning by its name");

  ModelTraits turbo = traits();
  apply(*few_step_of_name("sd_xl_turbo_1.0"), true, turbo);
  EXPECT_EQ(resolve({}, turbo).scheduler_config.kind, SchedulerKind::kEulerAncestral);
  EXPECT_EQ(resolve({}, turbo).steps, 1);

  ModelTraits folder = traits();
  apply(*few_step_of_name("lcm-fox"), false, folder);
  EXPECT_EQ(resolve({}, folder).scheduler_config.kind, SchedulerKind::kEuler) << "its own file says so";
  EXPECT_EQ(resolve({}, folder).steps, 4);
}

TEST(FewSteps, at_another_count_than_the_models_own_warn) {
  ModelTraits model = traits();
  apply(*few_step_of_name("sdxl_lightning_4step"), true, model);
  ImageRequest request;
  request.steps = 8;
  EXPECT_THAT(resolve(request, model).warnings,
              ElementsAre("this model is Lightning by its name, which was made for 4 steps and is run at 8: the image "
                          "may be bad"));
  ModelTraits any = traits();
  apply(*few_step_of_name("fox_lightning"), true, any);
  EXPECT_THAT(resolve(request, any).warnings, IsEmpty());
}

TEST(FewSteps, of_one_step_predict_the_image_if_they_are_lightning) {
  ModelTraits model = traits();
  apply(*few_step_of_name("sdxl_lightning_1step_x0"), true, model);
  const ResolvedRequest request = resolve({}, model);
  EXPECT_EQ(request.scheduler_config.prediction, PredictionType::kSample);
  EXPECT_THAT(request.scheduler->timesteps(), ElementsAre(999));
  const Estimate image = request.scheduler->image_estimate(0);
  EXPECT_EQ(image.sample, 0);
  EXPECT_EQ(image.output, 1);
}

TEST(FewSteps, are_said_by_a_flag_too) {
  EXPECT_EQ(few_step_of_flag("none").kind, nullptr);
  EXPECT_EQ(few_step_of_flag("lightning:4").steps, 4);
  EXPECT_EQ(few_step_of_flag("lcm").steps, 0);
  for (const char* bad : {"lightning:", "lightning:0", "lightning:x", "lightning:4x", "lightning:1000", "fast", ""})
    EXPECT_THROW(few_step_of_flag(bad), UsageError) << bad;
}

}  // namespace
}  // namespace inkstone
