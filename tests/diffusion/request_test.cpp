// The table of a request's fields, and what resolve() makes of a request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "base/json.h"
#include "diffusion/request_fields.h"
#include "diffusion/request_json.h"
#include "diffusion/resolved_request.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

ModelTraits model() {
  ModelTraits traits{.steps = 12, .guidance_scale = 3.0f, .width = 256, .height = 128, .scheduler = {}};
  traits.text_layers = 12;
  traits.controls = {{"edges", 0, 1}};
  traits.scheduler = std::make_shared<const Json>(parse_json(
      R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.001, "use_karras_sigmas": true})", "scheduler"));
  return traits;
}

ImageRequest everything() {
  ImageRequest request;
  request.prompt = "a fox";
  request.negative_prompt = "blurry";
  request.prompt_syntax = "comfy";
  request.clip_skip = 2;
  request.seed = UINT64_MAX;
  request.steps = 7;
  request.guidance_scale = 2.5f;
  request.guidance_rescale = 0.75f;
  request.scheduler = "ddim";
  request.schedule = "trailing";
  request.karras = false;
  request.eta = 0.25f;
  request.width = 192;
  request.height = 64;
  request.cache_interval = 3;
  request.guidance_interval = Interval{0.1f, 0.8f};
  request.image = given_file("not looked at, where the size is said", "photo.jpg");
  request.strength = 0.5f;
  request.resize_mode = "crop";
  request.mask = given_file("nor is this", "mask.png");
  request.mask_invert = true;
  request.mask_blur = 7;
  request.mask_fill = "noise";
  request.only_masked = false;
  request.padding = 9;
  request.outpaint = "left=8,bottom=16";
  request.keep_size = false;
  request.hires = 2;
  request.hires_strength = 0.6f;
  request.hires_steps = 5;
  request.hires_upscaler = "lanczos";
  request.upscaler = "box";
  request.second_upscaler = "bicubic";
  request.second_upscaler_part = 0.25f;
  request.control = {{"edges", given_file("a hint", "edges.png"), 0.5f, 0.25f, 0.75f}};
  request.control_guess = true;
  return request;
}

std::string what_is_wrong(const ImageRequest& request) {
  try {
    resolve(request, model());
    return "";
  } catch (const RequestError& error) {
    return error.what();
  }
}

TEST(RequestFields, each_has_names_of_its_own_and_a_row_reaches_one_member) {
  std::set<std::string> names, flags;
  for (const RequestField& field : request_fields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_TRUE(flags.insert(field.flag).second) << field.flag;
    EXPECT_EQ(find_request_field(field.name), &field);
    EXPECT_EQ(&request_field(field.member), &field) << "two rows for one member";
    EXPECT_FALSE(is_set(field, {})) << field.name;
    EXPECT_TRUE(is_set(field, everything())) << field.name;
    parse_json(field.example, field.name);
  }
  EXPECT_EQ(find_request_field("steps"), nullptr);
}

// A member that the table forgets would be lost on its way to a worker.
TEST(RequestFields, the_table_has_every_member_of_a_request) {
  ImageRequest copy;
  const ImageRequest from = everything();
  for (const RequestField& field : request_fields())
    std::visit([&](auto member) { copy.*member = from.*member; }, field.member);
  EXPECT_EQ(copy, from);
}

TEST(RequestFields, json_has_what_is_set_by_diffusers_names) {
  EXPECT_TRUE(request_json({}).empty());
  EXPECT_EQ(
      request_json(everything()),
      parse_json(
          R"({"prompt": "a fox", "negative_prompt": "blurry", "prompt_syntax": "comfy", "clip_skip": 2, "seed": 18446744073709551615,
              "num_inference_steps": 7, "guidance_scale": 2.5, "guidance_rescale": 0.75, "scheduler": "ddim", "schedule": "trailing", "karras": false, "eta": 0.25,
              "width": 192, "height": 64, "cache_interval": 3, "guidance_interval": [0.1, 0.8],
              "image": "photo.jpg", "strength": 0.5, "resize_mode": "crop", "mask": "mask.png", "mask_invert": true,
              "mask_blur": 7, "mask_fill": "noise", "only_masked": false, "padding": 9, "outpaint": "left=8,bottom=16", "keep_size": false,
              "hires": 2.0, "hires_strength": 0.6, "hires_steps": 5, "hires_upscaler": "lanczos",
              "upscaler": "box", "second_upscaler": "bicubic", "second_upscaler_part": 0.25,
              "control": [{"model": "edges", "image": "edges.png", "scale": 0.5, "start": 0.25, "end": 0.75}], "control_guess": true})",
          "expected"));
}

TEST(Resolve, the_models_own_files_say_what_the_request_does_not) {
  const ResolvedRequest request = resolve({}, model());
  EXPECT_EQ(request.prompt, "");
  EXPECT_EQ(request.seed, 42u);
  EXPECT_EQ(request.steps, 12);
  EXPECT_EQ(request.guidance_scale, 3.0f);
  EXPECT_EQ(request.width, 256);
  EXPECT_EQ(request.height, 128);
  EXPECT_EQ(request.scheduler_config.kind, SchedulerKind::kEuler);
  EXPECT_EQ(request.scheduler_config.schedule, Schedule::kKarras);
  EXPECT_DOUBLE_EQ(request.scheduler_config.beta_start, 0.001);
  EXPECT_EQ(request.evaluations(), 12);
  EXPECT_TRUE(request.guided);
}

TEST(Resolve, what_is_said_holds_and_is_said_again) {
  ImageRequest from_picture = everything(), enlarged = everything();  // an image is one of the two
  for (const RequestField& field : request_fields()) {
    if (field.group == std::string_view("Hires fix"))
      std::visit([&](auto member) { (from_picture.*member).reset(); }, field.member);
    if (field.group == kFromPicture) std::visit([&](auto member) { (enlarged.*member).reset(); }, field.member);
    if (field.group == kEnlarging)
      for (ImageRequest* drawn : {&from_picture, &enlarged})
        std::visit([&](auto member) { (drawn->*member).reset(); }, field.member);
  }
  from_picture.control.reset();  // which takes no cache interval
  from_picture.control_guess.reset();
  enlarged.cache_interval = 1;
  for (const ImageRequest& whole : {from_picture, enlarged}) EXPECT_EQ(resolve(whole, model()).said(), whole);
  const ImageRequest said = resolve({}, model()).said();
  EXPECT_EQ(resolve(said, model()).said(), said) << "a worker must find what the gateway found";
}

TEST(Resolve, clip_skip_is_for_encoders_that_can_stop_elsewhere) {
  ImageRequest request;
  request.clip_skip = 12;
  EXPECT_EQ(resolve(request, model()).clip_skip, 12);
  request.clip_skip = 13;
  EXPECT_THAT(what_is_wrong(request), HasSubstr("clip_skip 13: must be a whole number from 1 to 12"));
  ModelTraits xl = model();
  xl.text_layers = 1;
  EXPECT_EQ(resolve(request, xl).clip_skip, 1);
  EXPECT_THAT(resolve(request, xl).warnings.at(0), HasSubstr("clip_skip 13 has no effect"));
  request.clip_skip = 2;  // what it does anyway
  EXPECT_TRUE(resolve(request, xl).warnings.empty());
}

TEST(Resolve, composed_prompts_have_a_row_each_and_guidance) {
  ImageRequest request;
  request.prompt = "a AND b :0.5 AND c";
  EXPECT_EQ(resolve(request, model()).cfg_copies(), 4);
  EXPECT_EQ(resolve(request, model()).part_weights, (std::vector<float>{1, 0.5f, 1}));
  request.guidance_scale = 1;
  EXPECT_EQ(resolve(request, model()).cfg_copies(), 4);  // they are composed around the negative prompt
  request.cache_interval = 3;
  EXPECT_THAT(what_is_wrong(request), HasSubstr("cache_interval 3: must be 1 with AND in the prompt"));
  request.cache_interval = 1;
  request.guidance_interval = Interval{0.1f, 0.8f};
  EXPECT_THAT(what_is_wrong(request), HasSubstr("0,1 with AND in the prompt"));
  request.guidance_interval.reset();
  ModelTraits distilled = model();
  distilled.distilled = true;
  try {
    resolve(request, distilled);
    ADD_FAILURE() << "AND without guidance";
  } catch (const RequestError& error) {
    EXPECT_THAT(error.what(), HasSubstr("this model was distilled with guidance"));
  }
  request.prompt = "a b";
  EXPECT_EQ(resolve(request, model()).cfg_copies(), 1);
}

TEST(Resolve, a_prompt_that_cannot_be_is_said_of_its_field) {
  ImageRequest request;
  request.prompt = "a AND b:9999";
  EXPECT_THAT(what_is_wrong(request), HasSubstr("prompt: the weight of \" b\""));
  request.prompt_syntax = "comfy";
  EXPECT_EQ(resolve(request, model()).prompt_syntax, PromptSyntax::kComfy);
  request.negative_prompt = "(a:9999)";
  EXPECT_THAT(what_is_wrong(request), HasSubstr("negative_prompt: the weight of \"a\""));
  request.prompt_syntax = "nonsense";
  EXPECT_THAT(what_is_wrong(request), HasSubstr("prompt_syntax nonsense: must be one of a1111, comfy, plain"));
}

TEST(Resolve, schedulers_go_by_our_names_in_any_case_and_by_diffusers_classes) {
  for (const char* name : {"dpm++-2m", "DPM++-2M", "DPMSolverMultistepScheduler"}) {
    ImageRequest request;
    request.scheduler = name;
    EXPECT_EQ(resolve(request, model()).scheduler_config.kind, SchedulerKind::kDpmpp2M) << name;
  }
}

TEST(Resolve, karras_may_be_refused_where_the_models_file_asks_for_it) {
  ImageRequest request;
  request.karras = false;
  EXPECT_NE(resolve(request, model()).scheduler_config.schedule, Schedule::kKarras);
  request.scheduler = "pndm";
  EXPECT_NE(resolve(request, model()).scheduler_config.schedule, Schedule::kKarras) << "false is for every scheduler";
}

TEST(Resolve, a_schedulers_name_may_be_another_programs_and_say_its_schedule) {
  ImageRequest request;
  request.scheduler = "DPM++ 2M Karras";
  const ResolvedRequest same = resolve(request, model());
  EXPECT_EQ(same.said().scheduler, "dpm++-2m");
  EXPECT_EQ(same.scheduler_config.schedule, Schedule::kKarras);
  EXPECT_TRUE(same.warnings.empty());
  request.karras = false;
  EXPECT_NE(resolve(request, model()).scheduler_config.schedule, Schedule::kKarras)
      << "what is said beside it is nearer";
  request = {};
  request.scheduler = "DPM fast";
  request.prompt = "<lora:x:1>";
  const ResolvedRequest near = resolve(request, model());
  EXPECT_EQ(near.said().scheduler, "dpm++-2m");
  ASSERT_EQ(near.warnings.size(), 2u);
  EXPECT_TRUE(resolve(near.said(), model()).warnings.size() == 1) << "the name that was said to it is ours";
}

TEST(Resolve, karras_takes_the_place_of_other_noise_levels_of_the_models_file) {
  ModelTraits traits = model();
  traits.scheduler = std::make_shared<const Json>(
      parse_json(R"({"_class_name": "EulerDiscreteScheduler", "use_exponential_sigmas": true})", "scheduler"));
  EXPECT_EQ(resolve({}, traits).scheduler_config.schedule, Schedule::kExponential);
  ImageRequest request;
  request.karras = true;
  EXPECT_EQ(resolve(request, traits).scheduler_config.schedule, Schedule::kKarras);
}

TEST(Resolve, a_schedule_goes_by_all_its_names_and_comes_back_by_ours) {
  for (const auto& [said, ours] : {std::pair("SGM Uniform", "sgm-uniform"), std::pair("sgm_uniform", "sgm-uniform"),
                                   std::pair("align_your_steps", "ays"), std::pair("normal", "uniform"),
                                   std::pair("Karras", "karras"), std::pair("ddim", "ddim-uniform")}) {
    ImageRequest request;
    request.schedule = said;
    const ResolvedRequest resolved = resolve(request, model());
    EXPECT_EQ(resolved.said().schedule, ours);
    EXPECT_EQ(resolve(resolved.said(), model()).said(), resolved.said());
  }
}

TEST(Resolve, default_is_the_models_own_schedule_and_the_request_is_nearer_than_a_name) {
  ImageRequest request;
  request.schedule = "default";
  EXPECT_EQ(resolve(request, model()).scheduler_config.schedule, Schedule::kKarras) << "its file says so";
  request.scheduler = "DPM++ 2M Exponential";
  EXPECT_EQ(resolve(request, model()).scheduler_config.schedule, Schedule::kKarras);
  request.schedule.reset();
  EXPECT_EQ(resolve(request, model()).scheduler_config.schedule, Schedule::kExponential);
  request.karras = false;
  request.scheduler.reset();
  const ResolvedRequest plain = resolve(request, model());
  EXPECT_EQ(plain.scheduler_config.schedule, Schedule::kDefault);
  EXPECT_EQ(resolve(plain.said(), model()).scheduler_config.schedule, Schedule::kDefault);
}

// Others ignore it in diffusers, and draw another image.
TEST(Resolve, a_schedule_that_ends_without_signal_has_the_schedulers_that_know_it) {
  ModelTraits traits = model();
  traits.scheduler = std::make_shared<const Json>(parse_json(
      R"({"_class_name": "EulerDiscreteScheduler", "rescale_betas_zero_snr": true, "prediction_type": "v_prediction"})",
      "scheduler"));
  for (const std::string& name : scheduler_names()) {
    ImageRequest request;
    request.scheduler = name;
    if (takes_zero_snr(scheduler_kind(name))) {
      EXPECT_TRUE(resolve(request, traits).scheduler_config.rescale_betas_zero_snr) << name;
    } else {
      EXPECT_THROW(resolve(request, traits), RequestError) << name;
    }
  }
}

TEST(Resolve, align_your_steps_has_a_table_for_sdxl) {
  ImageRequest request;
  request.schedule = "ays";
  ModelTraits sdxl = model();
  sdxl.sdxl = true;
  EXPECT_NE(resolve(request, sdxl).scheduler->timesteps(), resolve(request, model()).scheduler->timesteps());
}

TEST(RequestFields, the_help_names_every_scheduler) {
  for (const std::string& name : schedule_choices())
    EXPECT_THAT(request_field(&ImageRequest::schedule).about, HasSubstr(name));
  for (const std::string& name : scheduler_names())
    EXPECT_THAT(request_field(&ImageRequest::scheduler).about, HasSubstr(name));
}

TEST(Resolve, no_side_is_named_that_would_be_refused) {
  RequestLimits limits;
  limits.max_side = 1004;
  ImageRequest request;
  request.width = 1001;
  try {
    resolve(request, model(), limits);
    FAIL();
  } catch (const RequestError& error) {
    EXPECT_EQ(error.rule(), "a multiple of 8 from 8 to 1000");
  }
}

TEST(Resolve, guidance_needs_more_than_1_and_a_model_that_was_not_distilled) {
  ImageRequest request;
  request.guidance_scale = 1;
  EXPECT_FALSE(resolve(request, model()).guided);
  ModelTraits distilled = model();
  distilled.distilled = true;
  EXPECT_FALSE(resolve({}, distilled).guided);
}

struct Refusal {
  const char* field;
  std::function<void(ImageRequest&)> change;
  const char* says;
};

TEST(Resolve, refuses_with_the_field_its_value_and_what_is_allowed) {
  RequestLimits limits;
  limits.max_side = 512;
  limits.max_pixels = 512 * 256;
  limits.max_steps = 50;
  limits.max_prompt_bytes = 10;
  const Refusal refusals[] = {
      {"prompt", [](ImageRequest& r) { r.prompt = "12345678901"; }, "prompt has 11 bytes; at most 10"},
      {"negative_prompt", [](ImageRequest& r) { r.negative_prompt = "12345678901"; }, "11 bytes"},
      {"num_inference_steps", [](ImageRequest& r) { r.steps = 0; }, "0: must be a whole number from 1 to 50"},
      {"num_inference_steps", [](ImageRequest& r) { r.steps = 51; }, "51: must be a whole number from 1 to 50"},
      {"guidance_scale", [](ImageRequest& r) { r.guidance_scale = 100.5f; }, "100.5: must be a number from 0 to 100"},
      {"guidance_scale", [](ImageRequest& r) { r.guidance_scale = NAN; }, "nan: must be a number"},
      {"width", [](ImageRequest& r) { r.width = 100; },
       "100: must be a multiple of 8 from 8 to 512: the nearest are 96 and 104"},
      {"height", [](ImageRequest& r) { r.height = -64; }, "-64: must be a multiple of 8"},
      {"height", [](ImageRequest& r) { r.height = 0; }, "0: must be a multiple of 8 from 8 to 512"},
      {"height", [](ImageRequest& r) { r.height = 520; }, "from 8 to 512"},
      {"width", [](ImageRequest& r) { r.width = r.height = 512; }, "512x512 are 262144 pixels; at most 131072"},
      {"scheduler", [](ImageRequest& r) { r.scheduler = "eulr"; }, "eulr: must be one of pndm, ddim, euler"},
      {"scheduler", [](ImageRequest& r) { r.scheduler = ""; }, "must be one of pndm"},
      {"karras", [](ImageRequest& r) { r.karras = true, r.scheduler = "ddim"; },
       "true: must be false with ddim; it can be true with euler, euler-ancestral, dpm++-2m, dpm++-2m-sde, unipc, "
       "heun"},
      {"karras", [](ImageRequest& r) { r.karras = true, r.schedule = "beta"; },
       "true: must be false with schedule beta, or left out"},
      {"karras", [](ImageRequest& r) { r.karras = false, r.schedule = "karras"; },
       "false: must be true with schedule karras, or left out"},
      {"schedule", [](ImageRequest& r) { r.schedule = "karas"; }, "kl-optimal; did you mean karras?"},
      {"schedule", [](ImageRequest& r) { r.schedule = "turbo"; }, "turbo: must be one of default, leading"},
      {"schedule", [](ImageRequest& r) { r.schedule = "beta", r.scheduler = "ddim"; },
       "beta: must be one of default, leading, linspace, trailing with ddim; beta goes with euler, "},
      {"schedule", [](ImageRequest& r) { r.schedule = "trailing", r.scheduler = "lcm"; },
       "trailing: must be one of default with lcm; trailing goes with pndm, "},
      {"schedule", [](ImageRequest& r) { r.schedule = "lu"; }, "lu goes with dpm++-2m, dpm++-2m-sde"},
      {"eta", [](ImageRequest& r) { r.eta = 0.5f; }, "0.5: must be 0 with euler; it can be more with ddim, tcd"},
      {"eta", [](ImageRequest& r) { r.eta = 1.5f, r.scheduler = "ddim"; }, "1.5: must be a number from 0 to 1"},
      {"cache_interval", [](ImageRequest& r) { r.cache_interval = 0; }, "0: must be a whole number from 1 to 1000"},
      {"guidance_interval",
       [](ImageRequest& r) {
         r.guidance_interval = Interval{0.6f, 0.5f};
       },
       "0.6,0.5: must be FROM,TO"},
      {"guidance_interval",
       [](ImageRequest& r) {
         r.guidance_interval = Interval{0, 0.5f}, r.guidance_scale = 1;
       },
       "0,0.5: must be 0,1 without guidance"},
  };
  for (const Refusal& refusal : refusals) {
    ImageRequest request;
    refusal.change(request);
    try {
      resolve(request, model(), limits);
      ADD_FAILURE() << "taken: " << refusal.says;
    } catch (const RequestError& error) {
      EXPECT_STREQ(error.field().name, refusal.field) << refusal.says;
      EXPECT_THAT(error.what(), HasSubstr(refusal.says));
    }
  }
}

TEST(Resolve, refuses_approximations_where_the_memory_was_planned_without) {
  RequestLimits limits;
  limits.approximations = false;
  ImageRequest request;
  request.cache_interval = 1;
  request.guidance_interval = Interval{};
  EXPECT_NO_THROW(resolve(request, model(), limits));
  request.cache_interval = 3;
  EXPECT_THROW(resolve(request, model(), limits), RequestError);
  request = {};
  request.guidance_interval = Interval{0, 0.5f};
  EXPECT_THROW(resolve(request, model(), limits), RequestError);
}

TEST(Resolve, steps_that_the_scheduler_cannot_make_are_a_fault_of_the_steps) {
  ModelTraits traits = model();
  traits.scheduler = std::make_shared<const Json>(
      parse_json(R"({"_class_name": "LCMScheduler", "original_inference_steps": 50})", "scheduler"));
  ImageRequest request;
  request.steps = 60;
  try {
    resolve(request, traits);
    FAIL();
  } catch (const RequestError& error) {
    EXPECT_STREQ(error.field().name, "num_inference_steps");
    EXPECT_THAT(error.what(), HasSubstr("60 steps are more than the 50"));
  }
}

TEST(Limits, the_tighter_of_two_holds) {
  RequestLimits a, b;
  a.max_side = 100, b.max_side = 200;
  a.max_steps = 30, b.max_steps = 20;
  b.approximations = false;
  const RequestLimits both = tighter(a, b);
  EXPECT_EQ(both.max_side, 100);
  EXPECT_EQ(both.max_steps, 20);
  EXPECT_EQ(both.max_pixels, a.max_pixels);
  EXPECT_FALSE(both.approximations);
}

}  // namespace
}  // namespace inkstone
