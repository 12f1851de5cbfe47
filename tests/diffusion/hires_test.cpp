// Images that are drawn, enlarged and drawn again, against torch's interpolation and diffusers' pipelines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/engine.h"
#include "diffusion/generate.h"
#include "diffusion/golden_runs.h"
#include "diffusion/hires_upscaler.h"
#include "diffusion/legs.h"
#include "diffusion/request_fields.h"
#include "support/differences.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";

Engine engine_of(const std::string& model, Choice small = Choice::kAuto) {
  EngineOptions options;
  options.precision = Precision::kFp32;
  options.vae_tiling = options.attention_slicing = small;
  return Engine(Pipeline::open(kFixtures / "models" / model), options);
}

ImageRequest small_request(const std::string& upscaler) {
  ImageRequest request;
  request.prompt = "a fox";
  request.steps = 3;
  request.width = 32;
  request.height = 40;
  request.scheduler = "euler-ancestral";
  request.hires = 1.5f;
  request.hires_upscaler = upscaler;
  return request;
}

std::string refusal(const Engine& engine, const ImageRequest& request) {
  try {
    engine.resolve(request);
  } catch (const RequestError& error) {
    return std::string(error.field().name) + ": " + error.what();
  }
  return "taken";
}

TEST(Hires, latents_are_enlarged_as_torch_does_it) {
  const Weights golden = Weights::open_files({kFixtures / "hires.safetensors"});
  const Json list = read_json(kFixtures / "hires.json");
  int seen = 0;
  for (size_t i = 0; i < list.at("sizes").as_array().size(); ++i) {
    const JsonArray& size = list.at("sizes").as_array()[i].as_array();
    const std::string at = "size" + std::to_string(i) + "/";
    for (const HiresUpscaler& upscaler : hires_upscalers_all()) {
      if (!upscaler.of_latent) continue;
      const Tensor made = enlarged_latent(golden.read(at + "input"), size[2].to_number<int64_t>(),
                                          size[3].to_number<int64_t>(), upscaler.filter, upscaler.antialias);
      EXPECT_LE(largest_difference(made, golden.read(at + upscaler.name)), 3e-6) << at << upscaler.name;
      ++seen;
    }
  }
  EXPECT_EQ(seen, 30);
}

TEST(Hires, latents_of_both_legs_are_diffusers_ones) {
  const Weights golden = Weights::open_files({kFixtures / "hires.safetensors"});
  const Json list = read_json(kFixtures / "hires.json");
  ASSERT_GE(list.at("runs").as_array().size(), 7u);
  for (const Json& item : list.at("runs").as_array()) {
    const std::string name(item.at("name").as_string());
    Engine engine = engine_of(std::string(item.at("model").as_string()));
    ImageRequest request = golden_request(item);
    request.prompt_syntax = "plain";
    request.hires = item.at("hires").to_number<float>();
    request.hires_upscaler = std::string(item.at("hires_upscaler").as_string());
    request.hires_strength = item.at("hires_strength").to_number<float>();
    request.hires_steps = item.at("hires_steps").to_number<int>();
    const ResolvedRequest resolved = engine.resolve(request);
    EXPECT_EQ(resolved.final_width, item.at("enlarged").as_array()[0].to_number<int>()) << name;
    const Job job = stepped(engine, engine.start(resolved));
    const Job larger = stepped(engine, engine.start(hires_leg(resolved), &job));
    EXPECT_LE(largest_difference(larger.latent, golden.read(name + "/latents")), 1e-3) << name;
  }
}

TEST(Hires, images_are_the_same_whatever_the_company) {
  for (const char* upscaler : {"latent-bicubic", "lanczos"}) {
    Engine engine = engine_of("tiny-sd15");
    const ResolvedRequest request = engine.resolve(small_request(upscaler));
    const Image alone = generate(engine, request).image;
    EXPECT_EQ(alone.width, 48);
    EXPECT_EQ(alone.height, 60);
    // In a server's plan, beside another.
    Engine served = engine_of("tiny-sd15");
    served.reserve({2, 64, 64 * 64, 1});
    ImageRequest asked = small_request(upscaler);
    asked.seed = 7;
    Job one = served.start(served.resolve(small_request(upscaler))), other = served.start(served.resolve(asked));
    Job* both[] = {&one, &other};
    while (!one.done()) served.step(both);
    for (Job* job : both) {
      served.offload(*job);
      *job = served.start(hires_leg(job->request), job);
    }
    while (!one.done()) served.step(both);
    EXPECT_EQ(served.finish(one).rgb, alone.rgb) << upscaler;
  }
}

TEST(Hires, images_are_the_same_whatever_the_memory) {
  for (const char* upscaler : {"latent-bicubic", "lanczos"}) {
    Engine engine = engine_of("tiny-sd15"), small = engine_of("tiny-sd15", Choice::kOn);
    ImageRequest asked = small_request(upscaler);
    asked.width = 96;  // enlarged, a map has enough pixels for bands
    asked.height = 120;
    const ResolvedRequest request = engine.resolve(asked);
    const EnginePlan plain = engine.plan(request), banded = small.plan(request);
    EXPECT_LT(banded.use("vae").work(), plain.use("vae").work());
    EXPECT_EQ(generate(small, request).image.rgb, generate(engine, request).image.rgb) << upscaler;
  }
}

TEST(Hires, the_plan_is_that_of_the_larger_size) {
  Engine engine = engine_of("tiny-sd15");
  ImageRequest request = small_request("latent"), large = request;
  large.hires.reset();
  large.width = 48;
  large.height = 60;
  EXPECT_EQ(engine.plan(engine.resolve(request)).peak_bytes, engine.plan(engine.resolve(large)).peak_bytes);
}

TEST(Hires, as_many_steps_run_as_are_asked_for) {
  Engine engine = engine_of("tiny-sd15");
  for (const char* scheduler : {"euler", "heun", "ddim"})
    for (const float strength : {0.1f, 0.5f, 0.7f, 1.0f})
      for (const int steps : {0, 1, 7}) {
        ImageRequest request = small_request("latent");
        request.scheduler = scheduler;
        request.hires_strength = strength;
        request.hires_steps = steps;
        const ResolvedRequest leg = hires_leg(engine.resolve(request));
        EXPECT_EQ(leg.steps_run(), steps ? steps : 3) << scheduler << strength << steps;
        EXPECT_EQ(leg.width, 48);
        EXPECT_EQ(hires_leg(engine.resolve(engine.resolve(request).said())).said(), leg.said());
      }
}

TEST(Hires, what_cannot_be_enlarged_is_refused_with_its_field) {
  Engine engine = engine_of("tiny-sd15");
  ImageRequest request = small_request("latent");
  request.hires = 1.05f;
  EXPECT_THAT(refusal(engine, request), testing::StartsWith("hires: hires: 32x40 enlarged 1.05 times is 32x40"));
  request.hires = 5;
  EXPECT_THAT(refusal(engine, request), HasSubstr("from 1 to 4"));
  request.hires = 2;
  request.hires_upscaler = "latent-bicubik";
  EXPECT_THAT(refusal(engine, request), HasSubstr("did you mean latent-bicubic"));
  request.hires_upscaler = "Latent (Bicubic)";
  EXPECT_EQ(refusal(engine, request), "taken");
  request.hires_steps = 200;
  request.hires_strength = 0.1f;
  EXPECT_THAT(refusal(engine, request), testing::StartsWith("hires_strength: "));
  engine.reserve({1, 64, 64 * 64, 1});
  request = small_request("latent");
  request.hires = 2;
  EXPECT_THAT(refusal(engine, request), HasSubstr("the longest side that is taken is 64"));
  request.hires = 1.5f;
  EXPECT_EQ(refusal(engine, request), "taken");
}

}  // namespace
}  // namespace inkstone
