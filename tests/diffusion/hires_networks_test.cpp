// Images that a network enlarges between their legs: the same as if each part had been run by itself, in whatever memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/parallel.h"
#include "diffusion/generate.h"
#include "diffusion/legs.h"
#include "diffusion/parameters.h"
#include "diffusion/pipeline_upscalers.h"
#include "diffusion/request_fields.h"
#include "diffusion/request_pictures.h"
#include "upscale/tiny_upscaler.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class HiresNetworks : public testing::Test {
 protected:
  HiresNetworks() {
    std::string name = (fs::temp_directory_path() / "inkstone_hires_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    EsrganConfig config;
    config.channels = config.growth = 32, config.blocks = 1;
    write_upscaler(folder_ / "fox_x4.safetensors", config, {});
    config.doublings = 0;
    write_upscaler(folder_ / "fox_x1.safetensors", config, {"", 2});
    config.channels = config.growth = 8, config.doublings = 1;
    write_upscaler(folder_ / "fox_x2.safetensors", config, {"", 1});
  }
  ~HiresNetworks() override { fs::remove_all(folder_); }

  Pipeline pipeline() const {
    Pipeline model = Pipeline::open(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/models/tiny-sd15");
    for (const char* file : {"fox_x4.safetensors", "fox_x2.safetensors", "fox_x1.safetensors"})
      add_upscaler(model, folder_ / file);
    return model;
  }
  Engine engine(size_t budget = 0) const {
    EngineOptions options;
    options.precision = Precision::kFp32;
    options.memory_budget = budget;
    options.program_bytes = size_t{64} << 20;
    return Engine(pipeline(), options);
  }
  static ImageRequest request(const std::string& upscaler) {
    ImageRequest asked;
    asked.prompt = "a fox";
    asked.seed = 7;
    asked.steps = 3;
    asked.width = 32;
    asked.height = 40;
    asked.scheduler = "euler-ancestral";
    asked.hires = 1.5f;
    asked.hires_steps = 3;
    asked.hires_strength = 0.5f;
    asked.hires_upscaler = upscaler;
    return asked;
  }

  fs::path folder_;
};

std::string refusal(const Engine& engine, const ImageRequest& request) {
  try {
    engine.resolve(request);
  } catch (const RequestError& error) {
    return std::string(error.field().name) + ": " + error.what();
  }
  return "taken";
}

TEST_F(HiresNetworks, make_what_the_parts_make_one_by_one) {
  for (const char* name : {"fox_x4", "fox_x2"}) {
    Engine engine = this->engine();
    const Image whole = generate(engine, engine.resolve(request(name))).image;
    ASSERT_EQ(whole.width, 48);
    ASSERT_EQ(whole.height, 60);

    ImageRequest first = request(name);
    for (auto member : {&ImageRequest::hires, &ImageRequest::hires_strength}) (first.*member).reset();
    first.hires_steps.reset(), first.hires_upscaler.reset();
    const Image drawn = generate(engine, engine.resolve(first)).image;
    const Upscaler network = Upscaler::open(folder_ / (std::string(name) + ".safetensors"));
    const auto backend = open_backend("cpu");
    const Image large = network.upscale(*backend, drawn, network.plan(*backend, drawn.width, drawn.height));
    EXPECT_EQ(large.width, drawn.width * network.factor());
    const std::vector<std::byte> png = encode_png(resize(large, 48, 60), {});
    ImageRequest second = first;
    second.width = 48, second.height = 60;
    second.steps = 6, second.strength = 0.5f;
    second.image = given_file({reinterpret_cast<const char*>(png.data()), png.size()}, "enlarged");
    EXPECT_TRUE(generate(engine, engine.resolve(second)).image.rgb == whole.rgb) << name;
    EXPECT_FALSE(generate(engine, engine.resolve(request("lanczos"))).image.rgb == whole.rgb) << name;
  }
}

TEST_F(HiresNetworks, make_the_same_image_in_every_budget_and_with_any_number_of_threads) {
  Engine free = engine();
  ImageRequest large = request("fox_x1");
  large.width = 32, large.height = 512;  // so that bands are lower than it
  large.steps = large.hires_steps = 1;
  const ResolvedRequest asked = free.resolve(large);
  EnginePlan plan = free.plan(asked);
  EXPECT_FALSE(plan.upscaler_bands);
  const Image right = generate(free, asked).image;
  const int before = threads();
  std::vector<std::string> given_up;
  std::string said;
  for (int number = 1; said.empty(); ++number) {
    try {
      Engine tight = engine(plan.peak_bytes - 1);
      const EnginePlan less = tight.plan(asked);
      ASSERT_LT(less.peak_bytes, plan.peak_bytes);
      plan = less;
      set_threads(1 + number % 3);
      EXPECT_TRUE(generate(tight, asked).image.rgb == right.rgb) << testing::PrintToString(plan.reasons);
    } catch (const UsageError& error) {
      said = error.what();
    }
  }
  set_threads(before);
  EXPECT_TRUE(plan.components_in_turn);
  EXPECT_TRUE(plan.upscaler_bands) << testing::PrintToString(plan.reasons);
  EXPECT_THAT(said, HasSubstr("is too small for 48x768: the least that works is"));
}

TEST_F(HiresNetworks, are_in_the_plan_with_what_they_take) {
  Engine engine = this->engine();
  const EnginePlan with = engine.plan(engine.resolve(request("fox_x4"))),
                   without = engine.plan(engine.resolve(request("lanczos")));
  EXPECT_EQ(without.use("upscaler").total(), 0u);
  const Upscaler network = Upscaler::open(folder_ / "fox_x4.safetensors");
  const auto backend = open_backend("cpu");
  // of the small image
  EXPECT_EQ(with.use("upscaler").total(), network.plan(*backend, 32, 40).peak_bytes);
  EXPECT_GE(with.use("upscaler").total(), size_t{3} * 128 * 160 * 5);  // floats, and bytes
}

TEST_F(HiresNetworks, work_in_a_servers_plan) {
  const ImageRequest asked = request("fox_x4");
  Engine engine = this->engine(), served = this->engine();
  const Image right = generate(engine, engine.resolve(asked)).image;
  const EnginePlan reserved = served.reserve({2, 64, 64 * 64, 1});
  EXPECT_GE(reserved.use("upscaler").total(), engine.plan(engine.resolve(asked)).use("upscaler").total());
  // As a gateway asks: with every field said, by the name alone.
  ImageRequest sent = served.resolve(asked).said();
  EXPECT_EQ(sent.hires_upscaler, "fox_x4");
  Job job = served.start(served.resolve(sent));
  while (!job.done()) served.step(job);
  job = served.start(hires_leg(job.request), &job);
  while (!job.done()) served.step(job);
  EXPECT_TRUE(served.finish(job).rgb == right.rgb);
}

// Without a U-Net: what AUTOMATIC1111 calls extras.
TEST_F(HiresNetworks, enlarge_a_picture_alone) {
  const Image picture = formula_image(20, 14);
  const std::vector<std::byte> png = encode_png(picture, {});
  ImageRequest asked;
  asked.image = given_file({reinterpret_cast<const char*>(png.data()), png.size()}, "image");
  asked.upscaler = "fox_x2";
  asked.width = 30, asked.height = 21;
  Engine engine = this->engine();
  engine.reserve({1, 64, 64 * 64, 1});
  const auto made = [&](const ImageRequest& request) {
    const ResolvedRequest resolved = engine.resolve(request);
    EXPECT_EQ(resolved.evaluations(), 0);
    Job job = engine.start(resolved);
    EXPECT_TRUE(job.done());
    return engine.finish(job);
  };
  const Upscaler network = Upscaler::open(folder_ / "fox_x2.safetensors");
  const auto backend = open_backend("cpu");
  const Image large = network.upscale(*backend, picture, network.plan(*backend, 20, 14));
  const Image first = resize(large, 30, 21), second = resize(picture, 30, 21, Resampling::kBicubic);
  EXPECT_TRUE(made(asked).rgb == first.rgb);
  asked.second_upscaler = "bicubic";
  asked.second_upscaler_part = 0.25f;
  const Image both = made(asked);
  for (size_t i = 0; i < both.rgb.size(); ++i)
    ASSERT_EQ(both.rgb[i], static_cast<uint8_t>(first.rgb[i] + 0.25f * (second.rgb[i] - first.rgb[i]))) << i;
  asked.second_upscaler.reset();
  asked.resize_mode = "crop";
  asked.width = asked.height = 24;
  EXPECT_TRUE(made(asked).rgb == fitted(large, 24, 24, ResizeMode::kCrop).rgb);
  EXPECT_EQ(parameters_text(engine.resolve(asked), "tiny", {}, {}),
            "Postprocess upscale to: 24x24, Postprocess upscaler: fox_x2");
  asked.width = 65;
  EXPECT_THAT(refusal(engine, asked), HasSubstr("enlarged it would have 65x24 pixels"));
}

TEST_F(HiresNetworks, that_are_not_there_are_refused_with_those_that_are) {
  Engine engine = this->engine();
  EXPECT_EQ(refusal(engine, request("FOX_x4")), "taken");
  EXPECT_THAT(refusal(engine, request("fox_x8")), testing::AllOf(HasSubstr("hires_upscaler: "), HasSubstr("fox_x2"),
                                                                 HasSubstr("lanczos"), HasSubstr("did you mean")));
}

TEST_F(HiresNetworks, of_a_name_that_is_taken_and_other_files_are_refused) {
  Pipeline model = pipeline();
  const auto refused = [&](const fs::path& file) -> std::string {
    try {
      add_upscaler(model, file);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refused(folder_ / "fox_x4.safetensors"), HasSubstr("rename the file"));
  fs::copy_file(folder_ / "fox_x4.safetensors", folder_ / "Lanczos.safetensors");
  EXPECT_THAT(refused(folder_ / "Lanczos.safetensors"), HasSubstr("rename the file"));
  EXPECT_THAT(refused(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/hires.safetensors"),
              HasSubstr("is no upscaler that Inkstone runs"));
}

TEST_F(HiresNetworks, are_named_in_the_parameters) {
  Engine engine = this->engine();
  EXPECT_THAT(parameters_text(engine.resolve(request("fox_x4")), "tiny", {}, {}),
              HasSubstr("Hires upscale: 1.5, Denoising strength: 0.5, Hires steps: 3, Hires upscaler: fox_x4"));
}

}  // namespace
}  // namespace inkstone
