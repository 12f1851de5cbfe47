// What other programs call a scheduler means one of ours, the nearest with a warning, or nothing.
#include "diffusion/scheduler_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Sampling sampling(const std::string& name, const std::string& schedule = "") {
  const auto found = find_sampler(name);
  if (!found) throw std::runtime_error("nobody is called " + name);
  return sampling_of(*found->sampler, schedule.empty() ? found->schedule : find_schedule(schedule));
}

TEST(SchedulerNames, ours_go_by_what_other_programs_call_them) {
  struct Row {
    const char* name;
    SchedulerKind kind;
    std::optional<Schedule> schedule = {};
  };
  using Ours = SchedulerKind;
  for (const Row& row : std::vector<Row>{{"Euler a", Ours::kEulerAncestral},
                                         {"k_euler_a", Ours::kEulerAncestral},
                                         {"euler-ancestral", Ours::kEulerAncestral},
                                         {"euler_ancestral", Ours::kEulerAncestral},
                                         {"EulerAncestralDiscreteScheduler", Ours::kEulerAncestral},
                                         {"EULER", Ours::kEuler},
                                         {"euler_a Karras", Ours::kEulerAncestral, Schedule::kKarras},
                                         {"DPM++ 2M Karras", Ours::kDpmpp2M, Schedule::kKarras},
                                         {"k_dpmpp_2m_ka", Ours::kDpmpp2M, Schedule::kKarras},
                                         {"dpm++2m", Ours::kDpmpp2M},
                                         {"DPM++ 2M Uniform", Ours::kDpmpp2M, Schedule::kUniform},
                                         {"dpmpp_2m_sde_gpu", Ours::kDpmpp2MSde},
                                         {"DPM++ 2M Automatic", Ours::kDpmpp2M},
                                         {"uni_pc", Ours::kUniPc},
                                         {"Heun", Ours::kHeun},
                                         {"DPM++ SDE Karras", Ours::kDpmppSde, Schedule::kKarras},
                                         {"DPM++ 2M SDE Exponential", Ours::kDpmpp2MSde, Schedule::kExponential},
                                         {"dpmpp_2s_ancestral", Ours::kDpmpp2SAncestral},
                                         {"dpmpp_3m_sde_gpu", Ours::kDpmpp3MSde},
                                         {"k_dpm_2_a", Ours::kDpm2Ancestral},
                                         {"dpm_2", Ours::kDpm2},
                                         {"LMS Karras", Ours::kLms, Schedule::kKarras},
                                         {"DEISMultistepScheduler", Ours::kDeis},
                                         {"TCD", Ours::kTcd},
                                         {"DDIM trailing", Ours::kDdim, Schedule::kTrailing},
                                         {"PLMS", Ours::kPndm},
                                         {"DDIM", Ours::kDdim},
                                         {"lcm", Ours::kLcm}}) {
    const Sampling found = sampling(row.name);
    EXPECT_EQ(found.kind, row.kind) << row.name;
    EXPECT_EQ(found.schedule, row.schedule) << row.name;
    EXPECT_THAT(found.warnings, IsEmpty()) << row.name;
  }
  for (const std::string& name : scheduler_names()) {
    EXPECT_EQ(name_of(sampling(name).kind), name);
    const std::string of_diffusers = diffusers_class(scheduler_kind(name));
    if (of_diffusers.empty()) continue;
    EXPECT_EQ(name_of(sampling(of_diffusers).kind), name != "dpm++-2m-sde" ? name : "dpm++-2m");
  }
}

TEST(SchedulerNames, no_name_stands_for_two) {
  std::set<std::string> names;
  for (const SamplerName& sampler : sampler_names()) {
    ASSERT_TRUE(find_sampler(sampler.name));
    EXPECT_EQ(find_sampler(sampler.name)->sampler, &sampler) << sampler.name;
    for (const std::string& alias : aliases_of(sampler)) EXPECT_EQ(find_sampler(alias)->sampler, &sampler) << alias;
  }
  for (const ScheduleName& schedule : schedule_names()) {
    EXPECT_EQ(find_schedule(schedule.name), &schedule);
    EXPECT_EQ(find_schedule(schedule.label), &schedule);
  }
}

TEST(SchedulerNames, the_nearest_stands_for_a_deterministic_one_with_a_warning) {
  for (const char* name : {"DPM fast", "DPM adaptive", "DPMSolverSinglestepScheduler", "dpm++2mv2"}) {
    const Sampling found = sampling(name);
    EXPECT_EQ(found.kind, SchedulerKind::kDpmpp2M) << name;
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("DPM++ 2M is taken"))) << name;
  }
  for (const char* schedule : {"turbo", "linear_quadratic", "smoothstep", "gits"})
    EXPECT_THAT(sampling("Euler", schedule).warnings, ElementsAre(HasSubstr("is taken"))) << schedule;
  EXPECT_EQ(sampling("Euler", "turbo").schedule, Schedule::kTrailing);
  for (const char* schedule :
       {"Exponential", "polyexponential", "SGM Uniform", "simple", "beta", "kl_optimal", "normal"})
    EXPECT_THAT(sampling("Euler", schedule).warnings, IsEmpty()) << schedule;
}

TEST(SchedulerNames, what_would_draw_another_image_is_refused_with_the_nearest) {
  const auto refusal = [](const std::string& name, const std::string& schedule = "") -> std::string {
    try {
      sampling(name, schedule);
    } catch (const AbsentSampler& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_THAT(refusal("Restart Karras"), HasSubstr("Restart is not here"));
  EXPECT_THAT(refusal("Restart Karras"), HasSubstr("the nearest is DPM++ 2M SDE"));
  for (const char* name : {"DPM++ 2M SDE Heun", "DDPMScheduler", "SA Solver", "ddim_cfg_pp"})
    EXPECT_THAT(refusal(name), HasSubstr("another image")) << name;
  EXPECT_THAT(refusal("Euler a", "turbo"), HasSubstr("Turbo is not here for Euler a"));
  EXPECT_THAT(refusal("Euler", "lu"), HasSubstr("Lu is not here for Euler"));
  EXPECT_THAT(refusal("LCM", "karras"), HasSubstr("there are Automatic"));
  EXPECT_EQ(refusal("LCM", "uniform"), "taken");
}

TEST(SchedulerNames, a_schedule_has_no_effect_where_the_web_ui_passes_none) {
  for (const char* name : {"PLMS", "DDIM"}) {
    const Sampling found = sampling(name, "karras");
    EXPECT_FALSE(found.schedule);
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("has no effect"))) << name;
    EXPECT_THAT(sampling(name, "uniform").warnings, IsEmpty());
  }
}

TEST(SchedulerNames, nobody_is_called_so) {
  for (const std::string& name :
       {std::string(), std::string(" "), std::string("Nonsense"), std::string("Karras"), std::string(" karras"),
        std::string("../euler"), std::string("euler nonsense"), std::string(1 << 20, 'd')})
    EXPECT_FALSE(find_sampler(name)) << name.substr(0, 20);
  EXPECT_FALSE(find_schedule(""));
  EXPECT_FALSE(find_schedule("fast"));
}

}  // namespace
}  // namespace inkstone
