// inkstone upscale, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "app/program.h"
#include "base/file.h"
#include "base/image_file.h"
#include "base/json.h"
#include "base/picture.h"
#include "sanitized.h"
#include "upscale/tiny_upscaler.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class UpscaleProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (program_path().empty()) GTEST_SKIP() << "the program is not built: build the target inkstone";
    EsrganConfig config;
    config.channels = 8, config.growth = 8, config.blocks = 1;
    write_upscaler(at("x4.safetensors"), config, {"", 2});
    config.unshuffle = 2;
    write_upscaler(at("x2.safetensors"), config, {});
    write_png("in.png", formula_image(20, 14), {{"parameters", "a fox\nSteps: 4"}, {"workflow", "{}"}});
  }

  fs::path at(const std::string& name) const { return program_.folder.path() / name; }
  void write_png(const std::string& name, const Image& image, const TextChunks& texts,
                 std::span<const uint8_t> alpha = {}) const {
    const std::vector<std::byte> png = encode_png(image, texts, alpha);
    write_file(at(name), png);
  }
  Picture picture(const std::string& name) const {
    const std::string bytes = text_of(at(name));
    return read_picture(std::as_bytes(std::span(bytes)), name);
  }
  TextChunks texts(const std::string& name) const {
    const std::string bytes = text_of(at(name));
    return decode_png(std::as_bytes(std::span(bytes))).texts;
  }
  Outcome upscale(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "upscale");
    return program_.run(arguments);
  }
  void expect_refusal(std::vector<std::string> arguments, const std::string& text) {
    const Outcome outcome = upscale(std::move(arguments));
    EXPECT_NE(outcome.code, 0);
    EXPECT_THAT(outcome.error, HasSubstr(text));
    EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
  }

  ProgramRun program_;
};

TEST_F(UpscaleProgram, a_network_enlarges_by_its_factor_and_keeps_the_texts) {
  const Outcome outcome = upscale({"in.png", "--upscaler", "x4.safetensors", "--out", "big.png", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(picture("big.png").image.width, 80);
  EXPECT_EQ(picture("big.png").image.height, 56);
  EXPECT_THAT(texts("big.png"),
              ElementsAre(std::pair("parameters", "a fox\nSteps: 4"), std::pair("workflow", "{}"),
                          std::pair("postprocessing", "Postprocess upscale by: 4, Postprocess upscaler: x4")));
  const Json json = parse_json(outcome.output, "output");
  EXPECT_EQ(json.at("factor").to_number<int>(), 4);
  EXPECT_EQ(json.at("images").at(0).at("width").to_number<int>(), 80);
  EXPECT_GT(json.at("memory").at("planned_peak_bytes").to_number<int64_t>(), 1 << 20);
}

TEST_F(UpscaleProgram, another_scale_is_resampled_from_the_networks) {
  ASSERT_EQ(upscale({"in.png", "--upscaler", "x4.safetensors", "--out", "big.png"}).code, 0);
  ASSERT_EQ(upscale({"in.png", "--upscaler", "x4.safetensors", "--scale", "1.5", "--out", "mid.png"}).code, 0);
  EXPECT_EQ(picture("mid.png").image.rgb, resize(picture("big.png").image, 30, 21).rgb);
  ASSERT_EQ(upscale({"in.png", "--upscaler", "x2.safetensors", "--out", "two.png"}).code, 0);
  EXPECT_EQ(picture("two.png").image.width, 40);
}

TEST_F(UpscaleProgram, without_a_network_it_resamples) {
  const Image image = formula_image(20, 14);
  ASSERT_EQ(upscale({"in.png", "--out", "big.png"}).code, 0);
  EXPECT_EQ(picture("big.png").image.rgb, resize(image, 40, 28).rgb);
  ASSERT_EQ(upscale({"in.png", "--upscaler", "bicubic", "--scale", "3", "--out", "big.png"}).code, 0);
  EXPECT_EQ(picture("big.png").image.rgb, resize(image, 60, 42, Resampling::kBicubic).rgb);
}

TEST_F(UpscaleProgram, transparency_stays_but_in_a_jpeg) {
  std::vector<uint8_t> alpha(20 * 14, 255);
  std::fill_n(alpha.begin(), 140, 0);
  write_png("glass.png", formula_image(20, 14), {}, alpha);
  for (const char* out : {"glass-big.png", "glass-big.webp"}) {
    ASSERT_EQ(upscale({"glass.png", "--upscaler", "x4.safetensors", "--out", out}).code, 0);
    const std::vector<uint8_t> kept = picture(out).alpha;
    ASSERT_EQ(kept.size(), 80u * 56) << out;
    EXPECT_EQ(kept.front(), 0);
    EXPECT_EQ(kept.back(), 255);
  }
  const Outcome outcome = upscale({"glass.png", "--out", "glass.jpg"});
  ASSERT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.error, HasSubstr("glass.png is put on white"));
  EXPECT_GT(picture("glass.jpg").image.rgb.front(), 240);
}

TEST_F(UpscaleProgram, several_images_go_into_a_folder_each_as_if_alone) {
  write_png("other.png", formula_image(9, 30), {});
  ASSERT_EQ(upscale({"in.png", "other.png", "--upscaler", "x4.safetensors", "--out", "large/"}).code, 0);
  EXPECT_EQ(picture("large/other-x4.png").image.height, 120);
  ASSERT_EQ(upscale({"in.png", "--upscaler", "x4.safetensors", "--out", "alone.png"}).code, 0);
  EXPECT_EQ(text_of(at("large/in-x4.png")), text_of(at("alone.png")));
  ASSERT_EQ(upscale({"in.png", "--upscaler", "x4.safetensors"}).code, 0);
  EXPECT_EQ(text_of(at("in-x4.png")), text_of(at("alone.png")));
}

TEST_F(UpscaleProgram, a_dash_is_standard_output) {
  ASSERT_EQ(upscale({"in.png", "--out", "big.png"}).code, 0);
  const Outcome outcome = upscale({"in.png", "--out", "-"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(outcome.output, text_of(at("big.png")));
  EXPECT_THAT(outcome.error, HasSubstr("-> standard output"));
  EXPECT_FALSE(fs::exists(at("-")));
  expect_refusal({"in.png", "in.png", "--out", "-"}, "--out - and 2 images: standard output takes one");
}

TEST_F(UpscaleProgram, what_cannot_be_done_is_said_in_a_line_before_the_work) {
  expect_refusal({}, "upscale what?");
  expect_refusal({"nope.png"}, "cannot read nope.png: no such file");
  expect_refusal({"in.png", "--upscaler", "nope.pth"}, "--upscaler nope.pth: there is no such file");
  expect_refusal({"in.png", "--upscaler", "in.png"}, "in.png");
  expect_refusal({"x4.safetensors", "--out", "a.png"}, "x4.safetensors: it is neither PNG, JPEG nor WebP");
  expect_refusal({"in.png", "--scale", "0"}, "--scale 0: must be a number from 0.01 to 64");
  expect_refusal({"in.png", "in.png"}, "two images would be written as in-x2.png");
  expect_refusal({"in.png", "x.png", "--out", "a.png"}, "name a folder");
  expect_refusal({"in.png", "--out", "gone/a.png"}, "the folder gone does not exist");
  expect_refusal({"in.png", "--out", "in.png", "--no-clobber"}, "--no-clobber keeps it");
  expect_refusal({"in.png", "--upscaler", "x4.safetensors", "--memory-budget", "2MiB"},
                 "a memory budget of 2 MiB is too small to read in.png, 20x14 pixels: that takes");
  write_png("wide.png", formula_image(1000, 600), {});
  expect_refusal({"wide.png", "--scale", "64"}, "wide.png would become 64000x38400 pixels");
  write_png("long.png", formula_image(1100, 2), {});
  expect_refusal({"long.png", "--scale", "15", "--out", "a.webp"}, "webp: 16500x30 pixels; at most 16383 a side");
  expect_refusal({"long.png", "--scale", "64", "--out", "a.jpg"}, "jpeg: 70400x128 pixels; at most 65500 a side");
  expect_refusal({"in.png", "--out", "a.gif"}, "only .png, .jpg and .webp are written");
}

// Of noise, which no format makes smaller.
Image noise(int width, int height) {
  Image image{width, height, {}};
  uint32_t state = 1;
  for (int i = 0; i < 3 * width * height; ++i)
    image.rgb.push_back(static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24));
  return image;
}

TEST_F(UpscaleProgram, the_whole_command_stays_within_what_is_planned) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory is not planned";
  const Image image = noise(400, 300);
  write_png("noise.png", image, {});
  write_png("glass.png", image, {}, std::vector<uint8_t>(400 * 300, 99));
  const std::vector<std::vector<std::string>> all = {
      {"noise.png", "--scale", "8", "--out", "big.png"},
      {"glass.png", "--scale", "8", "--out", "big.png"},
      {"noise.png", "--scale", "8", "--out", "big.jpg"},
      {"noise.png", "--scale", "4", "--out", "big.webp"},
      {"noise.png", "--scale", "0.5", "--out", "small.png"},
      {"noise.png", "--upscaler", "x4.safetensors", "--out", "big.png"},
      {"noise.png", "--upscaler", "x2.safetensors", "--scale", "8", "--out", "big.png"}};
  for (std::vector<std::string> arguments : all) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    std::vector<std::string> reported = arguments;
    reported.push_back("--json");
    const Outcome outcome = upscale(reported);
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    const Json memory = parse_json(outcome.output, "output").at("memory");
    const auto planned = memory.at("planned_peak_bytes").to_number<int64_t>();
    EXPECT_LE(memory.at("measured_peak_bytes").to_number<int64_t>(), planned);
    arguments.insert(arguments.end(), {"--memory-budget", std::to_string((planned >> 20) - 8) + "MiB"});
    if (arguments[1] == "--scale") expect_refusal(arguments, "MiB is too small to ");  // no network that works in bands
  }
}

TEST_F(UpscaleProgram, an_upscaler_is_exported_without_what_it_has_no_use_for) {
  const std::vector<std::string> least = {"export", "--upscaler", "x4.safetensors", "--sizes", "8", "--out", "om"};
  for (const auto& [flag, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"--text-encoder", "a"},
                                                                  {"--text-encoder-2", "a"},
                                                                  {"--prediction", "epsilon"},
                                                                  {"--zero-snr", "on"},
                                                                  {"--few-step", "lcm"},
                                                                  {"--control", "a"},
                                                                  {"--embedding-dir", "."},
                                                                  {"--model", "a"},
                                                                  {"--batch", "2"}}) {
    std::vector<std::string> arguments = least;
    arguments.insert(arguments.end(), {flag, value});
    const Outcome outcome = program_.run(arguments);
    EXPECT_EQ(outcome.code, 2) << flag;
    EXPECT_THAT(outcome.error, HasSubstr("--upscaler x4.safetensors and " + std::string(flag) + ": "));
  }
  const Outcome outcome = program_.run(least);
  EXPECT_EQ(outcome.code, 0) << outcome.error;
}

TEST_F(UpscaleProgram, info_knows_an_upscaler_and_generate_names_the_command) {
  const Outcome info = program_.run({"info", "x2.safetensors"});
  EXPECT_EQ(info.code, 0);
  EXPECT_THAT(info.output,
              AllOf(HasSubstr("an upscaler (ESRGAN) of factor 2"), HasSubstr("1 block of 8 and 8 channels"),
                    HasSubstr("inkstone upscale IMAGE --upscaler FILE")));
  const Outcome generate = program_.run({"generate", "a fox", "--model", "x4.safetensors"});
  EXPECT_NE(generate.code, 0);
  EXPECT_THAT(generate.error, HasSubstr("is an upscaler (ESRGAN), no model: inkstone upscale IMAGE"));
}

}  // namespace
}  // namespace inkstone
