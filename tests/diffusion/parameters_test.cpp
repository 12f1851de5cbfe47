#include "diffusion/parameters.h"

#include <gtest/gtest.h>

#include <set>

#include "diffusion/scheduler_names.h"

namespace inkstone {
namespace {

ResolvedRequest request() {
  ResolvedRequest result;
  result.prompt = "a red apple, shiny";
  result.seed = 42;
  return result;
}

TEST(Parameters, are_written_as_automatic1111_reads_them) {
  EXPECT_EQ(parameters_text(request(), "demo"),
            "a red apple, shiny\n"
            "Steps: 20, Sampler: PLMS, Schedule type: Automatic, CFG scale: 7.5, Seed: 42, Size: 512x512, Model: demo, "
            "Version: inkstone 0.1.0");
}

TEST(Parameters, a_negative_prompt_has_its_line) {
  ResolvedRequest with = request();
  with.negative_prompt = "blurry: very";
  with.guidance_scale = 7;
  with.width = 640;
  with.scheduler_config.kind = SchedulerKind::kDpmpp2M;
  with.scheduler_config.schedule = Schedule::kKarras;
  with.seed = UINT64_MAX;
  EXPECT_EQ(
      parameters_text(with, "demo"),
      "a red apple, shiny\n"
      "Negative prompt: blurry: very\n"
      "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 18446744073709551615, Size: 640x512, "
      "Model: demo, Version: inkstone 0.1.0");
}

TEST(Parameters, values_that_would_end_their_field_are_quoted) {
  const auto model_of = [](const std::string& name) {
    const std::string text = parameters_text(request(), name);
    const size_t begin = text.find("Model: ") + 7;
    return text.substr(begin, text.rfind(", Version") - begin);
  };
  EXPECT_EQ(model_of("a b"), "a b");
  EXPECT_EQ(model_of("a, b"), "\"a, b\"");
  EXPECT_EQ(model_of("a:b"), "\"a:b\"");
  EXPECT_EQ(model_of("a\n\"b"), "\"a\\n\\\"b\"");
}

TEST(Parameters, noise_of_ddim_is_told) {
  ResolvedRequest with = request();
  with.scheduler_config.kind = SchedulerKind::kDdim;
  with.scheduler_config.eta = 0.5f;
  EXPECT_NE(parameters_text(with, "demo").find(", Eta DDIM: 0.5, Model"), std::string::npos);
}

TEST(Parameters, approximations_are_told) {
  ResolvedRequest with = request();
  with.cache_interval = 3;
  EXPECT_NE(parameters_text(with, "demo").find(", Cache interval: 3, Model"), std::string::npos);
  with.guidance_interval = {0.1f, 0.8f};
  EXPECT_NE(parameters_text(with, "demo").find(", Guidance interval: \"0.1,0.8\", Model"), std::string::npos);
}

TEST(Parameters, every_scheduler_has_a_name_of_its_own) {
  std::set<std::string> names;
  for (const std::string& name : scheduler_names()) names.insert(sampler_name(scheduler_kind(name)).name);
  EXPECT_EQ(names.size(), scheduler_names().size());
}

TEST(Parameters, a_refiner_is_named_as_the_web_ui_reads_it) {
  const std::string text = parameters_text({}, "fox", {}, {"sd_xl_refiner_1.0", 0.8f});
  EXPECT_NE(text.find(", Refiner: sd_xl_refiner_1.0, Refiner switch at: 0.8, Model: fox"), text.npos) << text;
}

}  // namespace
}  // namespace inkstone
