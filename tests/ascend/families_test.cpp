// SDXL, Stable Diffusion 2, a model with an adapter and long prompts on the simulated card: the images of the reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "ascend/simulated_card.h"
#include "base/error.h"
#include "diffusion/pipeline_adapters.h"
#include "diffusion/resolved_request.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr double kMinPsnr = 45;  // dB, in fp32
const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures";
const fs::path kSdxl = kFixtures / "models/tiny-sdxl";

// 80 words are more than a chunk's 75 tokens.
std::string long_prompt() {
  std::string text = "a red apple to the left of a bee";
  for (int i = 0; i < 80; ++i) text += " fox";
  return text;
}

ImageRequest request_of(const std::string& prompt, int width, int height) {
  ImageRequest request;
  request.prompt = prompt;
  request.seed = 5;
  request.steps = 3;
  request.width = width;
  request.height = height;
  request.guidance_scale = 4;
  return request;
}

void expect_reference(const std::function<Pipeline()>& open, const std::string& compiled, const ImageRequest& request,
                      double min = kMinPsnr) {
  const SimulatedCard card;
  {
    auto npu = engine_of(open(), "npu:0", compiled_demo(compiled)), host = engine_of(open(), "reference");
    const Image found = draw(*npu, request), right = draw(*host, request);
    EXPECT_NE(std::ranges::max(right.rgb), std::ranges::min(right.rgb));
    EXPECT_GE(psnr(found, right), min) << compiled << " " << *request.width << "x" << *request.height;
  }
  EXPECT_EQ(card.left_behind(), "");
}

TEST(Families, sdxl_has_two_encoders_and_is_told_of_the_size) {
  const auto open = [] { return Pipeline::open(kSdxl); };
  for (const auto& [width, height] : {std::pair(32, 32), std::pair(36, 28)}) {
    ImageRequest request = request_of("a fox", width, height);
    expect_reference(open, "sdxl", request);  // zeros for no negative prompt
    request.negative_prompt = "ugly";
    expect_reference(open, "sdxl", request);
    request.guidance_scale = 1;
    expect_reference(open, "sdxl", request);
  }
  expect_reference(open, "sdxl", request_of(long_prompt(), 36, 28));
  expect_reference(open, "sdxl-fp16", request_of("a fox", 32, 32), 30);
}

TEST(Families, stable_diffusion_2_predicts_v) {
  const auto open = [] { return Pipeline::open(compiled_demo("sd2-model")); };
  EXPECT_EQ(scheduler_config(open().traits).prediction, PredictionType::kVPrediction);
  expect_reference(open, "sd2", request_of("a fox", 32, 32));
  expect_reference(open, "sd2", request_of("a fox", 36, 28));
}

TEST(Families, an_adapter_is_merged_when_the_model_is_exported) {
  const fs::path lora = kFixtures / "adapters/lora.safetensors";
  const auto open = [&](float strength) {
    Pipeline model = Pipeline::open(kFixtures / "models/tiny-sd15");
    if (strength != 0) merge(model, {{lora.string(), strength, strength}});
    return model;
  };
  const ImageRequest request = request_of("a fox", 32, 32);
  expect_reference([&] { return open(0.7f); }, "lora", request);
  // The card has the merged weights: neither the model alone nor another strength is what was exported.
  for (const float other : {0.0f, 0.5f}) {
    const SimulatedCard card;
    try {
      auto npu = engine_of(open(other), "npu:0", compiled_demo("lora"));
      draw(*npu, request);
      ADD_FAILURE() << "drawn with strength " << other;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("inkstone export"));
    }
  }
}

// ReLU, doublings and blocks; the bound of its latent is the host's.
TEST(Families, a_tiny_vae_decodes_and_encodes) {
  const auto open = [] {
    return Pipeline::open(fs::path(INKSTONE_SOURCE_DIR) / "demo/model",
                          {{"vae", kFixtures / "taesd/taesd_decoder.safetensors"}});
  };
  ImageRequest request = request_of("a fox", 64, 64);
  expect_reference(open, "taesd", request);
  Image picture{64, 64, {}};
  for (int i = 0; i < 3 * 64 * 64; ++i) picture.rgb.push_back(static_cast<uint8_t>(i * 7 % 251));
  const std::vector<std::byte> png = encode_png(picture);
  request.image = given_file({reinterpret_cast<const char*>(png.data()), png.size()}, "picture");
  request.strength = 0.7f;
  expect_reference(open, "taesd", request);
}

TEST(Families, long_prompts_run_where_they_were_exported_and_are_refused_elsewhere) {
  const auto open = [] { return Pipeline::open(fs::path(INKSTONE_SOURCE_DIR) / "demo/model"); };
  ImageRequest request = request_of(long_prompt(), 64, 64);
  expect_reference(open, "chunks", request);
  request.negative_prompt = long_prompt() + " in the dark";
  request.prompt = "a bee";
  expect_reference(open, "chunks", request);
  const SimulatedCard card;
  auto npu = engine_of(open(), "npu:0", compiled_demo("fp32"));
  try {
    draw(*npu, request);
    ADD_FAILURE() << "drawn";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("a prompt of 2 chunks"), HasSubstr("--max-prompt-chunks 2")));
  }
}

}  // namespace
}  // namespace inkstone
