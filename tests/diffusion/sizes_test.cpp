// Sizes that the U-Net cannot halve evenly: an image is the same in any company, on any number of
// threads and under any memory plan, down to the smallest one. (That it is diffusers' image:
// goldens_test.cpp.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/parallel.h"
#include "diffusion/generate.h"

namespace inkstone {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

const fs::path kFolder = fs::path(INKSTONE_SOURCE_DIR);
const fs::path kDemo = kFolder / "demo" / "model", kFourLevels = kFolder / "tests/fixtures/models/tiny-sizes";

Engine engine_for(const fs::path& model, Precision precision, EngineOptions options = {}) {
  options.precision = precision;
  return Engine(Pipeline::open(model), options);
}

ImageRequest request(int width, int height, uint64_t seed = 1, int steps = 3) {
  ImageRequest r;
  r.prompt = "a fox";
  r.seed = seed;
  r.steps = steps;
  r.guidance_scale = 3;
  r.width = width;
  r.height = height;
  return r;
}

Image draw(Engine& engine, const ImageRequest& r) { return generate(engine, engine.resolve(r)).image; }

TEST(Sizes, every_multiple_of_the_vae_s_scale_is_drawn) {
  Engine engine = engine_for(kFourLevels, Precision::kFp32);
  EXPECT_EQ(engine.pipeline().traits.size_multiple, 8);
  for (const auto& [width, height] : {std::pair{8, 8}, {8, 16}, {24, 8}, {40, 56}, {72, 64}, {64, 136}, {136, 88}}) {
    const Image image = draw(engine, request(width, height));
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
    EXPECT_EQ(image.rgb.size(), size_t{3} * static_cast<size_t>(width * height));
  }
}

TEST(Sizes, others_are_refused_with_the_nearest) {
  Engine engine = engine_for(kFourLevels, Precision::kFp32);
  const auto refusal = [&](int width, int height) -> std::string {
    try {
      engine.resolve(request(width, height));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal(8, 520), "accepted");
  EXPECT_THAT(refusal(514, 8),
              HasSubstr("width 514: must be a multiple of 8 from 8 to 16384: the nearest are 512 and 520"));
  EXPECT_THAT(refusal(8, 4), HasSubstr("height 4: must be a multiple of 8 from 8 to"));
  EXPECT_THAT(refusal(0, 8), HasSubstr("width 0: must be a multiple of 8 from 8 to"));
}

TEST(Sizes, an_odd_image_is_the_same_alone_and_in_any_company_and_on_any_threads) {
  for (const fs::path& model : {kDemo, kFourLevels})
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      Engine engine = engine_for(model, precision);
      std::vector<ImageRequest> requests{request(88, 72, 1), request(88, 72, 2, 4), request(88, 72, 3, 2)};
      requests[1].guidance_scale = 1;
      std::vector<Image> alone;
      for (const ImageRequest& r : requests) alone.push_back(draw(engine, r));
      std::vector<Job> jobs;
      for (const ImageRequest& r : requests) jobs.push_back(engine.start(engine.resolve(r)));
      for (;;) {
        std::vector<Job*> open;
        for (Job& job : jobs)
          if (!job.done()) open.push_back(&job);
        if (open.empty()) break;
        EXPECT_TRUE(engine.step(open).empty());
      }
      for (size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(engine.finish(jobs[i]).rgb, alone[i].rgb) << "request " << i;

      const int before = threads();
      set_threads(before == 1 ? 2 : 1);
      Engine other = engine_for(model, precision);
      EXPECT_EQ(draw(other, requests[0]).rgb, alone[0].rgb) << "other threads";
      set_threads(before);
    }
}

TEST(Sizes, neither_bands_nor_slices_change_an_odd_image) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const ImageRequest r = request(264, 216, 5, 2);  // large enough for bands
    Engine plain = engine_for(kDemo, precision);
    EngineOptions frugal;
    frugal.vae_tiling = frugal.attention_slicing = Choice::kOn;
    Engine tiled = engine_for(kDemo, precision, frugal);
    EXPECT_TRUE(tiled.plan(tiled.resolve(r)).vae_tiling);
    EXPECT_EQ(draw(tiled, r).rgb, draw(plain, r).rgb);
  }
}

TEST(Sizes, no_budget_changes_an_odd_image) {
  Engine engine = engine_for(kDemo, Precision::kFp32);
  const ImageRequest r = request(84, 76, 5, 2);
  const Image right = draw(engine, r);
  EnginePlan plan = engine.plan(engine.resolve(r));
  for (size_t budget = plan.peak_bytes; !plan.weight_streaming; budget -= size_t{1} << 18) {
    engine.set_memory_budget(budget);
    plan = engine.plan(engine.resolve(r));
    EXPECT_LE(plan.peak_bytes, budget);
  }
  EXPECT_TRUE(plan.components_in_turn);
  EXPECT_EQ(draw(engine, r).rgb, right.rgb);
}

TEST(Sizes, an_odd_image_may_be_drawn_with_cached_features) {
  for (const fs::path& model : {kDemo, kFourLevels}) {
    Engine engine = engine_for(model, Precision::kFp32);
    ImageRequest r = request(88, 72, 4, 4);
    r.scheduler = "ddim";
    const Image right = draw(engine, r);
    r.cache_interval = 2;
    const Image near = draw(engine, r);
    EXPECT_NE(near.rgb, right.rgb);
    EXPECT_GE(psnr(near, right), 20);
    EXPECT_EQ(draw(engine, r).rgb, near.rgb);
  }
}

TEST(Sizes, a_server_s_memory_holds_for_odd_images) {
  Engine plain = engine_for(kDemo, Precision::kFp32), engine = engine_for(kDemo, Precision::kFp32);
  const EnginePlan reserved = engine.reserve({2, 256, 136 * 120});
  for (const auto& [width, height] : {std::pair{136, 120}, {120, 136}, {8, 256}, {256, 56}, {72, 224}, {8, 8}}) {
    const ImageRequest r = request(width, height, 7, 1);
    EXPECT_EQ(draw(engine, r).rgb, draw(plain, r).rgb) << width << "x" << height;
    EXPECT_EQ(engine.plan(engine.resolve(r)).peak_bytes, reserved.peak_bytes);
  }
}

// Every size that a server's limits allow has to fit into what was planned for the largest, but for
// the little that halves of odd sizes are rounded up.
TEST(Sizes, no_allowed_size_needs_more_than_is_planned_for_the_largest) {
  Engine plain = engine_for(kDemo, Precision::kFp32), engine = engine_for(kDemo, Precision::kFp32);
  const int side = 320, pixels = 200 * 184;  // there is no square of so many
  const EnginePlan reserved = engine.reserve({1, side, pixels});
  for (int width = 8; width <= side; width += 8) {
    const int height = std::min(side, pixels / width / 4 * 4);
    const EnginePlan own = plain.plan(plain.resolve(request(width, height)));
    for (const char* stage : {"unet", "vae"})
      EXPECT_LE(own.use(stage).work(), reserved.use(stage).work() * 103 / 100)
          << stage << " " << width << "x" << height;
  }
}

}  // namespace
}  // namespace inkstone
