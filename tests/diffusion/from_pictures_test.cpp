// Images that begin with a picture: against diffusers' img2img and inpainting pipelines (tests/fixtures/from_pictures, by
// tools/fixtures/from_pictures.py), in a batch, and what is kept of the picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "diffusion/checkpoint_files.h"
#include "diffusion/engine.h"
#include "diffusion/golden_runs.h"
#include "diffusion/request_fields.h"
#include "support/differences.h"
#include "support/scratch_folder.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";
const fs::path kPictures = kFixtures / "from_pictures";

GivenFile given(const fs::path& path) { return given_file(read_file(path, 1 << 20), path.filename().string()); }
GivenFile picture() { return given(kPictures / "picture.png"); }
GivenFile mask() { return given(kPictures / "mask.png"); }
GivenFile png_of(const Image& image, const std::string& name) {
  const std::vector<std::byte> file = encode_png(image);
  return given_file(std::string(reinterpret_cast<const char*>(file.data()), file.size()), name);
}

// tiny-sd15 with a U-Net of nine channels; the formula is that of from_pictures.py.
fs::path nine_channels(const ScratchFolder& scratch) {
  const fs::path folder = scratch.path() / "tiny-nine", from = kFixtures / "models" / "tiny-sd15";
  fs::copy(from, folder, fs::copy_options::recursive);
  const Pipeline plain = Pipeline::open(from);
  const Weights& weights = plain.component("unet").weights;
  FileTensors tensors;
  for (const WeightSpec& spec : weights.specs()) {
    const std::string& name = spec.name;
    const Tensor value = weights.read(name);
    FileTensor tensor{name, value.shape(), {value.floats().begin(), value.floats().end()}};
    if (name == "conv_in.weight") {
      std::vector<float> wide;
      for (int64_t o = 0; o < tensor.shape[0]; ++o) {
        const auto* own = tensor.values.data() + o * 4 * 9;
        wide.insert(wide.end(), own, own + 4 * 9);
        for (int64_t i = 4; i < 9; ++i)
          for (int y = 0; y < 3; ++y)
            for (int x = 0; x < 3; ++x)
              wide.push_back(
                  static_cast<float>(std::sin(1.7 * double(o) + 2.3 * double(i) + 0.9 * y + 0.5 * x + 1) / 20));
      }
      tensor.values = std::move(wide);
      tensor.shape[1] = 9;
    }
    tensors.push_back(std::move(tensor));
  }
  for (const auto& entry : fs::directory_iterator(from / "unet"))
    if (entry.path().extension() == ".safetensors") fs::remove(folder / "unet" / entry.path().filename());
  write_tensors(folder / "unet" / "diffusion_pytorch_model.safetensors", tensors);
  std::string config = read_file(from / "unet" / "config.json", 1 << 20);
  const size_t at = config.find("\"in_channels\": 4");
  EXPECT_NE(at, config.npos);
  config.replace(at, 16, "\"in_channels\": 9");
  write_text(folder / "unet" / "config.json", config);
  return folder;
}

Engine engine_of(const fs::path& model, const std::string& device = "cpu") {
  EngineOptions options;
  options.device = device;
  options.precision = Precision::kFp32;
  return Engine(Pipeline::open(model), options);
}
Engine tiny() { return engine_of(kFixtures / "models" / "tiny-sd15"); }

ImageRequest request_of(float strength = 0.5f) {
  ImageRequest request;
  request.prompt = "a red fox";
  request.seed = 42;
  request.steps = 4;
  request.guidance_scale = 3;
  request.scheduler = "ddim";
  request.image = picture();
  request.strength = strength;
  return request;
}

Image drawn(Engine& engine, const ImageRequest& request) {
  Job job = stepped(engine, request);
  return engine.finish(job);
}

class FromPictures : public testing::TestWithParam<const char*> {};

TEST_P(FromPictures, are_what_diffusers_draws) {
  const Weights golden = Weights::open_files({kPictures / "golden.safetensors"});
  const Json list = read_json(kPictures / "golden.json");
  ASSERT_GE(list.at("runs").as_array().size(), 28u);
  const ScratchFolder scratch;
  const fs::path nine = nine_channels(scratch);
  for (const Json& run : list.at("runs").as_array()) {
    const std::string name(run.at("name").as_string()), model(run.at("model").as_string());
    Engine engine = engine_of(model == "nine" ? nine : kFixtures / "models" / model, GetParam());
    ImageRequest request = golden_request(run);
    request.image = picture();
    request.strength = run.at("strength").to_number<float>();
    if (run.at("mask").as_bool()) request.mask = mask();
    Job job = stepped(engine, request);
    EXPECT_EQ(job.request.evaluations(), run.at("calls").to_number<int>()) << name;
    EXPECT_LE(largest_difference(job.latent, golden.read(name + "/latents")), 1e-3) << name;
    job.put_back.reset();  // diffusers does not put it back
    EXPECT_LE(largest_difference(engine.finish(job), golden.read(name + "/image")), 1) << name;
  }
}
INSTANTIATE_TEST_SUITE_P(Devices, FromPictures, testing::Values("reference", "cpu"));

TEST(ImagesFromPictures, have_the_pictures_size_where_none_is_said) {
  Engine engine = tiny();  // of 32x32, a multiple of its VAE's scale
  const int multiple = engine.pipeline().traits.size_multiple;
  ResolvedRequest request = engine.resolve(request_of());
  EXPECT_EQ(request.width, 40 / multiple * multiple);
  EXPECT_EQ(request.height, 36 / multiple * multiple);
  ImageRequest wide = request_of();
  wide.width = 80;
  EXPECT_EQ(engine.resolve(wide).height, 72 / multiple * multiple);
  ImageRequest large = request_of();
  large.image = png_of({4000, 1000, std::vector<uint8_t>(3 * 4000 * 1000, 7)}, "large.png");
  request = engine.resolve(large);
  EXPECT_LE(request.width * request.height, 4 * 32 * 32);
  EXPECT_NEAR(double(request.width) / request.height, 4, 1);
}

TEST(ImagesFromPictures, run_a_part_of_the_steps) {
  Engine engine = tiny();
  ImageRequest request = request_of(0.7f);
  request.steps = 10;
  EXPECT_EQ(engine.resolve(request).evaluations(), 7) << "0.7 * 10 is 7 for a person";
  request.strength = 0.05f;
  EXPECT_THROW(engine.resolve(request), RequestError);
  request.image.reset();
  EXPECT_THAT(engine.resolve(request).warnings.at(0), HasSubstr("strength has no effect without an image"));
  EXPECT_EQ(engine.resolve(request).evaluations(), 10);
}

TEST(ImagesFromPictures, do_not_depend_on_the_memory_plan) {
  std::vector<Image> images;
  for (const Choice tiling : {Choice::kOff, Choice::kOn}) {
    EngineOptions options;
    options.precision = Precision::kFp32;
    options.vae_tiling = tiling;
    Engine engine(Pipeline::open(kFixtures / "models" / "tiny-sd15"), options);
    ImageRequest request = request_of();
    request.width = 256;
    request.height = 320;
    EXPECT_EQ(engine.plan(engine.resolve(request)).vae_tiling, tiling == Choice::kOn);
    images.push_back(drawn(engine, request));
  }
  EXPECT_EQ(images[0].rgb, images[1].rgb);
}

TEST(ImagesFromPictures, do_not_depend_on_the_batch) {
  Engine engine = tiny();
  std::vector<ImageRequest> requests{request_of(0.5f), request_of(1), request_of(0.75f), {}};
  requests[1].mask = mask();
  requests[2].mask = mask();
  requests[2].mask_fill = "noise";
  requests[2].scheduler = "euler-ancestral";
  requests[3] = request_of();
  requests[3].image.reset();
  requests[3].strength.reset();
  for (ImageRequest& request : requests) request.width = request.height = 32;
  std::vector<Job> jobs;
  for (const ImageRequest& request : requests) jobs.push_back(engine.start(engine.resolve(request)));
  for (bool more = true; more;) {
    std::vector<Job*> left;
    for (Job& job : jobs)
      if (!job.done()) left.push_back(&job);
    more = !left.empty();
    if (more) {
      EXPECT_TRUE(engine.step(left).empty());
    }
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    Engine alone = tiny();
    EXPECT_EQ(engine.finish(jobs[i]).rgb, drawn(alone, requests[i]).rgb) << i;
  }
}

// Which bytes of an image are those of the picture, where `white` says what was drawn.
void expect_kept(const Image& image, const Image& picture, const std::function<bool(int, int)>& white) {
  ASSERT_EQ(image.width, picture.width);
  ASSERT_EQ(image.height, picture.height);
  size_t changed = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      const auto at = 3 * static_cast<size_t>(y * image.width + x);
      const bool same =
          std::equal(image.rgb.begin() + long(at), image.rgb.begin() + long(at) + 3, picture.rgb.begin() + long(at));
      EXPECT_TRUE(same || white(x, y)) << x << ", " << y;
      changed += white(x, y) && !same;
    }
  EXPECT_GT(changed, 20u);
}
bool in_circle(int x, int y) { return (x - 22) * (x - 22) + (y - 15) * (y - 15) < 90; }  // as in from_pictures.py

TEST(RepaintedPictures, are_the_same_to_the_byte_outside_the_mask) {
  Engine engine = tiny();
  const Image before = read_picture(picture().bytes, "picture").image;
  for (const int blur : {0, 3})
    for (const bool only : {false, true})
      for (const char* fill : {"original", "fill", "noise", "zeros"}) {
        ImageRequest request = request_of(0.75f);
        request.mask = mask();
        request.mask_blur = blur;
        request.mask_fill = fill;
        request.only_masked = only;
        request.padding = 4;
        expect_kept(drawn(engine, request), before, in_circle);
      }
  ImageRequest inverted = request_of(0.75f);
  inverted.mask = mask();
  inverted.mask_invert = true;
  expect_kept(drawn(engine, inverted), before, [](int x, int y) { return !in_circle(x, y); });
}

TEST(RepaintedPictures, with_nine_channels_are_kept_too) {
  const ScratchFolder scratch;
  Engine engine = engine_of(nine_channels(scratch));
  ImageRequest request = request_of(1);
  request.mask = mask();
  expect_kept(drawn(engine, request), read_picture(picture().bytes, "picture").image, in_circle);
  request.mask.reset();
  EXPECT_EQ(drawn(engine, request).width,
            40 / engine.pipeline().traits.size_multiple * engine.pipeline().traits.size_multiple);
  request.image.reset();  // no picture at all
  EXPECT_EQ(drawn(engine, request).width, engine.pipeline().traits.width);
}

TEST(RepaintedPictures, grow_where_they_are_outpainted) {
  Engine engine = tiny();
  const Image before = read_picture(picture().bytes, "picture").image;
  ImageRequest request = request_of(1);
  request.outpaint = "left=13,bottom=8";
  request.mask_blur = 1;
  const Image after = drawn(engine, request);
  ASSERT_EQ(after.width, 53);
  ASSERT_EQ(after.height, 44);
  for (int y = 0; y < 36 - 2; ++y)
    for (int x = 2; x < 40; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(after.rgb[3 * (y * 53 + x + 13) + c], before.rgb[3 * (y * 40 + x) + c]) << x << ", " << y;
}

TEST(RepaintedPictures, take_the_opaque_part_of_a_mask_with_transparency) {
  Engine engine = tiny();
  for (const bool invert : {false, true}) {
    ImageRequest request = request_of(0.75f);
    request.mask_invert = invert;
    request.mask = mask();
    const Image right = drawn(engine, request);
    request.mask = given(kPictures / "opaque_mask.png");  // black where it is opaque
    EXPECT_EQ(drawn(engine, request).rgb, right.rgb) << invert;
  }
}

TEST(RepaintedPictures, take_masks_of_other_sizes_and_refuse_those_that_leave_nothing_to_draw) {
  Engine engine = tiny();
  ImageRequest request = request_of(1);
  request.mask = png_of({20, 18, std::vector<uint8_t>(3 * 20 * 18, 255)}, "small.png");
  EXPECT_EQ(drawn(engine, request).width, 40);
  request.mask = png_of({20, 18, std::vector<uint8_t>(3 * 20 * 18, 0)}, "black.png");
  try {
    drawn(engine, request);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("black.png: the mask leaves nothing to draw anew"));
  }
  request.image.reset();
  EXPECT_THROW(engine.resolve(request), RequestError) << "a mask of no image";
}

}  // namespace
}  // namespace inkstone
