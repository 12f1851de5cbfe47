// inkstone generate with a network between an image's legs, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "app/program.h"
#include "base/image.h"
#include "base/json.h"
#include "upscale/tiny_upscaler.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

class HiresProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (program_path().empty()) GTEST_SKIP() << "the program is not built: build the target inkstone";
    EsrganConfig config;
    config.channels = config.growth = 8, config.blocks = 1;
    write_upscaler(program_.folder.path() / "fox_x4.safetensors", config, {});
  }
  Outcome run(const std::string& command, std::vector<std::string> more) {
    std::vector<std::string> arguments{command, "--steps", "2", "--hires", "1.5"};
    if (command == "generate") arguments.insert(arguments.begin() + 1, {"a fox", "--seed", "1"});
    if (command == "info") arguments.erase(arguments.begin() + 1, arguments.begin() + 3);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program_.run(arguments);
  }
  void expect_refusal(const std::vector<std::string>& more, const std::string& text) {
    const Outcome outcome = run("generate", more);
    EXPECT_NE(outcome.code, 0);
    EXPECT_THAT(outcome.error, HasSubstr(text));
    EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
  }

  ProgramRun program_;
};

TEST_F(HiresProgram, a_network_enlarges_what_was_drawn_and_the_file_says_so) {
  const Outcome outcome = run("generate", {"--hires-upscaler", "fox_x4.safetensors", "--out", "big.png", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json json = parse_json(outcome.output, "output");
  EXPECT_EQ(json.at("parameters").at("hires_upscaler"), Json("fox_x4"));
  EXPECT_GT(json.at("memory").at("upscaler").at("total_bytes").to_number<int64_t>(), 1 << 16);
  const std::string file = text_of(program_.folder.path() / "big.png");
  const DecodedPng png = decode_png(std::as_bytes(std::span(file)));
  ASSERT_EQ(png.texts.size(), 1u);
  EXPECT_THAT(png.texts[0].second, HasSubstr("Hires upscale: 1.5, Denoising strength: 0.5, Hires upscaler: fox_x4"));
  ASSERT_EQ(run("generate", {"--hires-upscaler", "lanczos", "--out", "other.png"}).code, 0);
  EXPECT_NE(text_of(program_.folder.path() / "other.png"), file);
}

TEST_F(HiresProgram, info_shows_the_network_and_its_memory) {
  const Outcome outcome = run("info", {"--hires-upscaler", "fox_x4.safetensors"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.output, HasSubstr("upscaler   fox_x4.safetensors: x4, 1 block of 8 and 8 channels"));
  EXPECT_THAT(outcome.output, HasSubstr("\n  upscaler  "));
}

TEST_F(HiresProgram, what_enlarges_nothing_is_refused_in_a_line) {
  write_file(program_.folder.path() / "text.safetensors", std::as_bytes(std::span("words")));
  expect_refusal({"--hires-upscaler", "nope.safetensors"}, "--hires-upscaler nope.safetensors: there is no such file");
  expect_refusal({"--hires-upscaler", "latent-bicubik"}, "did you mean latent-bicubic?");
  expect_refusal({"--hires-upscaler", "text.safetensors"}, "text.safetensors");
  expect_refusal({"--hires-upscaler", "fox_x4.safetensors", "--memory-budget", "40MiB"}, "the least that works is");
}

}  // namespace
}  // namespace inkstone
