// The program from outside: what a user types, and what comes back.
#include "app/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "app/model_copy.h"
#include "base/image.h"
#include "base/json.h"
#include "base/version.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

class TheProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (program_path().empty())
      GTEST_SKIP() << "the program is not built: build the target inkstone, or set INKSTONE_BINARY";
    program_.environment["HF_HUB_CACHE"] = (program_.folder.path() / "no-cache").string();
  }

  // The last line of standard error, which must be the error's alone.
  void expect_refusal(const std::vector<std::string>& arguments, int code,
                      const testing::Matcher<std::string>& message) {
    const Outcome outcome = program_.run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.error;
    EXPECT_EQ(outcome.output, "");
    ASSERT_THAT(outcome.error, testing::EndsWith("\n"));
    const size_t begin = outcome.error.rfind('\n', outcome.error.size() - 2);
    const std::string last = outcome.error.substr(begin == std::string::npos ? 0 : begin + 1);
    EXPECT_THAT(last, AllOf(StartsWith("inkstone: "), message));
    EXPECT_THAT(program_.folder.names(), IsEmpty());
  }

  DecodedPng image(const std::string& name) const {
    const std::string bytes = text_of(program_.folder.path() / name);
    return decode_png(std::as_bytes(std::span(bytes)));
  }

  ProgramRun program_;
};

using Generate = TheProgram;
using BadInput = TheProgram;
using Interrupted = TheProgram;
using Info = TheProgram;
using Bench = TheProgram;

TEST_F(TheProgram, says_its_version_and_helps) {
  const Outcome version = program_.run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.output, std::string("inkstone ") + kVersion + "\n");
  const Outcome help = program_.run({"generate", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, AllOf(HasSubstr("Examples:"), HasSubstr("--memory-budget")));
  const Outcome nothing = program_.run({});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_EQ(nothing.output, "");
  EXPECT_THAT(nothing.error, HasSubstr("Usage: inkstone COMMAND"));
}

TEST_F(TheProgram, exports_and_says_what_it_wrote) {
  const Outcome outcome = program_.run({"export", "--out", "onnx", "--sizes", "32", "--json", "--soc", "Ascend910B4"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json result = parse_json(outcome.output, "standard output");
  EXPECT_EQ(result.at("graphs").as_array().size(), 6u);
  EXPECT_TRUE(std::filesystem::exists(program_.folder.path() / "onnx" / "manifest.json"));
  EXPECT_THAT(outcome.error,
              AllOf(HasSubstr("unet_step_32x32_b1_guided.onnx"), HasSubstr("there is no ATC on this machine")));
}

TEST_F(TheProgram, refuses_exports_that_cannot_be) {
  const std::pair<std::vector<std::string>, const char*> rows[] = {
      {{}, "--out"},
      {{"--out", "x", "--sizes", "62"}, "multiples of 4"},
      {{"--out", "x", "--sizes", "64,tall"}, "tall"},
      {{"--out", "x", "--sizes", "64,64x64"}, "twice"},
      {{"--out", "x", "--batch", "0"}, "from 1 to 64"},
      {{"--out", "x", "--batch", "2,2"}, "twice"},
      {{"--out", "x", "--precision", "mixed_precision"}, "must be one of fp16, mixed, fp32"},
      {{"--out", "x", "--opset", "18"}, "from 14 to 17"},
      {{"--out", "x", "--soc", "Ascend910B"}, "Ascend910B4"},
      {{"--out", "x", "--soc", "nonsense", "--compile", "never"}, "known are Ascend310P1"},
      {{"--out", "x", "--compile", "auto"}, "add --soc"},
      {{"--out", "x", "--vae-tile", "16"}, "fewer"}};
  for (const auto& [flags, message] : rows) {
    std::vector<std::string> arguments{"export"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    expect_refusal(arguments, 2, HasSubstr(message));
  }
}

TEST_F(Generate, writes_a_image_with_its_parameters_and_says_what_it_did) {
  const Outcome outcome = program_.run({"generate", "a red apple", "--seed", "42", "--steps", "3", "--negative",
                                        "blurry", "--scheduler", "pndm", "--guidance", "3.5"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(outcome.output, "");
  EXPECT_THAT(program_.folder.names(), ElementsAre("a-red-apple-42.png"));
  EXPECT_THAT(outcome.error,
              AllOf(StartsWith("demo \u00b7 64x64 \u00b7 3 steps of pndm \u00b7 guidance 3.5 \u00b7 seed 42\n"),
                    testing::Not(HasSubstr("UNet2DConditionModel")), HasSubstr("step 1 of 3 \u2026\n"),
                    HasSubstr("step 3 of 3 (100 %)"), HasSubstr("text encoder"), HasSubstr("peak memory"),
                    HasSubstr("seed 42 -> a-red-apple-42.png\n")));
  const DecodedPng png = image("a-red-apple-42.png");
  EXPECT_GT(png.image.width, 0);
  ASSERT_EQ(png.texts.size(), 1u);
  EXPECT_EQ(png.texts[0].first, "parameters");
  EXPECT_THAT(
      png.texts[0].second,
      StartsWith(
          "a red apple\nNegative prompt: blurry\nSteps: 3, Sampler: PLMS, Schedule type: Automatic, CFG scale: 3.5, "
          "Seed: 42, Size: "));
}

TEST_F(Generate, verbose_shows_the_model_and_its_memory_too) {
  const Outcome outcome = program_.run({"generate", "a red apple", "--seed", "42", "--steps", "1", "-v"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("UNet2DConditionModel"), HasSubstr("in all"), HasSubstr("precision"),
                                   HasSubstr("memory, in detail"), HasSubstr(" \u00b7 1 step of pndm \u00b7 ")));
}

TEST_F(Generate, says_what_was_given_up_for_memory) {
  const Outcome outcome = program_.run(
      {"generate", "a fox", "--steps", "1", "--memory-budget", "60MiB", "--size", "128", "--precision", "fp32"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, HasSubstr("\ngiven up: "));
}

TEST_F(Generate, writes_to_standard_output_where_that_is_asked_for) {
  ASSERT_EQ(program_.run({"generate", "a fox", "--seed", "1", "--steps", "1", "--out", "fox.png"}).code, 0);
  const Outcome outcome = program_.run({"generate", "a fox", "--seed", "1", "--steps", "1", "--out", "-"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(outcome.output, text_of(program_.folder.path() / "fox.png")) << "and nothing else";
  EXPECT_THAT(outcome.error, HasSubstr("seed 1 -> standard output\n"));
  EXPECT_THAT(program_.folder.names(), ElementsAre("fox.png"));
}

TEST_F(Generate, writes_the_format_of_the_extension) {
  for (const auto& [name, mark] : {std::pair("fox.jpg", "\xff\xd8\xff"), std::pair("fox.webp", "RIFF")}) {
    ASSERT_EQ(program_.run({"generate", "a fox", "--seed", "1", "--steps", "1", "--out", name, "--quiet"}).code, 0);
    EXPECT_THAT(text_of(program_.folder.path() / name), StartsWith(mark));
  }
  EXPECT_THAT(text_of(program_.folder.path() / "fox.webp"), HasSubstr("EXIF"));
}

TEST_F(Generate, draws_each_prompt_of_a_file_with_a_seed_of_its_own) {
  program_.folder.write("prompts.txt", "a fox\n\na bee\n");
  const Outcome outcome =
      program_.run({"generate", "--prompts", "prompts.txt", "--seed", "5", "--steps", "1", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(program_.folder.names(), ElementsAre("a-bee-6.png", "a-fox-5.png", "prompts.txt"));
  const Json json = parse_json(outcome.output, "output");
  EXPECT_EQ(json.at("images").at(1).at("prompt").as_string(), "a bee");
  EXPECT_THAT(image("a-bee-6.png").texts[0].second, StartsWith("a bee\nSteps"));
  ASSERT_EQ(program_.run({"generate", "a bee", "--seed", "6", "--steps", "1", "--out", "alone.png", "--quiet"}).code,
            0);
  EXPECT_EQ(text_of(program_.folder.path() / "alone.png"), text_of(program_.folder.path() / "a-bee-6.png"));
  program_.input = "a fox\na bee\n";
  ASSERT_EQ(program_.run({"generate", "--prompts", "-", "--seed", "8", "--steps", "1", "--out", "in/", "-q"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(program_.folder.path() / "in" / "a-bee-9.png"));
}

TEST_F(Generate, overwrites_a_name_that_was_given_and_never_one_that_was_not) {
  program_.folder.write("apple.png", "old");
  program_.folder.write("apple-1.png", "old");
  const Outcome outcome = program_.run({"generate", "apple", "--seed", "1", "--steps", "1", "--out", "apple.png"});
  ASSERT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.error, HasSubstr("seed 1 -> apple.png (replaced)\n"));
  EXPECT_GT(image("apple.png").image.width, 0);
  ASSERT_EQ(program_.run({"generate", "apple", "--seed", "1", "--steps", "1", "--quiet"}).code, 0);
  EXPECT_EQ(text_of(program_.folder.path() / "apple-1.png"), "old");
  EXPECT_EQ(image("apple-1-2.png").image.rgb, image("apple.png").image.rgb);
}

TEST_F(Generate, quiet_is_quiet) {
  const Outcome outcome = program_.run({"generate", "a fox", "--steps", "1", "--quiet"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.output + outcome.error, "");
}

TEST_F(Generate, shows_no_previews_where_there_is_no_terminal_and_says_so) {
  const Outcome outcome =
      program_.run({"generate", "a fox", "--steps", "2", "--seed", "1", "--out", "a.png", "--preview"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error,
              AllOf(HasSubstr("--preview: standard error is no terminal"), testing::Not(HasSubstr("\x1b"))));
  EXPECT_THAT(program_.run({"generate", "a fox", "--preview", "gif"}).error, HasSubstr("kitty"));
}

TEST_F(Generate, draws_a_seed_and_says_it) {
  const Outcome outcome = program_.run({"generate", "a fox", "--steps", "1", "--json", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json json = parse_json(outcome.output, "output");
  const uint64_t seed = json.at("images").at(0).at("seed").to_number<uint64_t>();
  EXPECT_LT(seed, uint64_t{1} << 32);
  EXPECT_THAT(program_.folder.names(), ElementsAre("a-fox-" + std::to_string(seed) + ".png"));
}

TEST_F(Generate, a_seed_of_minus_one_is_drawn_and_said) {
  const Outcome outcome = program_.run({"generate", "a fox", "--steps", "1", "--seed", "-1", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json json = parse_json(outcome.output, "output");
  const std::string seed = std::to_string(json.at("images").at(0).at("seed").to_number<uint64_t>());
  EXPECT_THAT(outcome.error, HasSubstr("seed " + seed + " (drawn)\n"));
}

TEST_F(Generate, reads_the_prompt_from_standard_input) {
  program_.input =
      "\xEF\xBB\xBF"
      "a fox\n";  // as Windows' editors write it
  ASSERT_EQ(program_.run({"generate", "-", "--seed", "1", "--steps", "1", "--quiet"}).code, 0);
  EXPECT_THAT(image("a-fox-1.png").texts[0].second, StartsWith("a fox\nSteps"));
}

TEST_F(Generate, json_is_one_object_with_everything) {
  const Outcome outcome =
      program_.run({"generate", "a \"fox\"\xff", "--seed", "7", "--steps", "2", "--scheduler", "euler", "--json",
                    "--out", "fox.png", "--precision", "fp32", "--guidance", "2.1"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1);
  const Json json = parse_json(outcome.output, "output");
  EXPECT_EQ(json.at("images").at(0).at("path").as_string(), "fox.png");
  EXPECT_EQ(json.at("images").at(0).at("seed").as_int64(), 7);
  EXPECT_EQ(json.at("images").at(0).at("width").as_int64(), image("fox.png").image.width);
  EXPECT_EQ(json.at("parameters").at("prompt").as_string(), "a \"fox\"\xEF\xBF\xBD");
  EXPECT_EQ(json.at("parameters").at("scheduler").as_string(), "euler");
  EXPECT_EQ(json.at("parameters").at("guidance_scale").as_double(), 2.1);
  EXPECT_EQ(json.at("precision").as_string(), "fp32");
  EXPECT_GT(json.at("times").at("unet_seconds").as_double(), 0);
  EXPECT_GT(json.at("memory").at("measured_peak_bytes").to_number<int64_t>(), 0);
  EXPECT_GT(json.at("memory").at("planned_peak_bytes").to_number<int64_t>(), 0);
  EXPECT_EQ(json.at("device").at("name").as_string(), "cpu");
  EXPECT_TRUE(json.at("warnings").as_array().empty());
  EXPECT_EQ(json.at("model").at("components").as_array().size(), 3u);
}

TEST_F(Generate, warns_of_what_was_cut_from_the_prompt) {
  std::string words = "a fox";
  for (int i = 0; i < 100; ++i) words += " and a bee";
  const Outcome outcome = program_.run(
      {"generate", words + " on zebra", "--prompt-syntax", "plain", "--steps", "1", "--out", "x.png", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("warning: "), HasSubstr("on zebra\"")));
  EXPECT_THAT(std::string(parse_json(outcome.output, "output").at("warnings").at(0).as_string()),
              HasSubstr("on zebra"));
}

TEST_F(Generate, several_images_are_the_images_drawn_alone) {
  ASSERT_EQ(program_
                .run({"generate", "a fox", "--seed", "5", "--steps", "2", "--count", "3", "--out", "fox.png", "--quiet",
                      "--scheduler", "euler-ancestral"})
                .code,
            0);
  EXPECT_THAT(program_.folder.names(), ElementsAre("fox-5.png", "fox-6.png", "fox-7.png"));
  for (const char* seed : {"5", "6", "7"}) {
    ASSERT_EQ(program_
                  .run({"generate", "a fox", "--seed", seed, "--steps", "2", "--out", "alone.png", "--quiet",
                        "--scheduler", "euler-ancestral"})
                  .code,
              0);
    EXPECT_EQ(text_of(program_.folder.path() / "alone.png"),
              text_of(program_.folder.path() / (std::string("fox-") + seed + ".png")));
  }
}

TEST_F(Generate, takes_its_settings_from_a_file_and_flags_before_them) {
  program_.folder.write("c.toml", "steps = 9\nseed = 3\n[generate]\nguidance = 2\nout = \"c.png\"\n");
  ASSERT_EQ(program_.run({"generate", "a fox", "--config", "c.toml", "--steps", "2", "--quiet"}).code, 0);
  EXPECT_THAT(image("c.png").texts[0].second,
              AllOf(HasSubstr("Steps: 2, "), HasSubstr("CFG scale: 2, "), HasSubstr("Seed: 3, ")));
}

TEST_F(Generate, approximates_where_asked_and_says_so) {
  const auto draw = [&](const char* out, std::vector<std::string> more) {
    std::vector<std::string> arguments{"generate", "a fox", "--seed", "1", "--steps", "4", "--json", "--out", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program_.run(arguments);
  };
  ASSERT_EQ(draw("exact.png", {}).code, 0);
  ASSERT_EQ(draw("off.png", {"--cache-interval", "1", "--guidance-interval", "0,1"}).code, 0);
  EXPECT_EQ(text_of(program_.folder.path() / "off.png"), text_of(program_.folder.path() / "exact.png"));
  const Outcome outcome = draw("near.png", {"--cache-interval", "2", "--guidance-interval", "0.1,0.8"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, HasSubstr("of 2 U-Net calls one is whole, guidance from 0.1 to 0.8 of the schedule"));
  const Json parameters = parse_json(outcome.output, "output").at("parameters");
  EXPECT_EQ(parameters.at("cache_interval").to_number<int>(), 2);
  EXPECT_EQ(parameters.at("guidance_interval").at(1).as_double(), 0.8);
  EXPECT_NE(image("near.png").image.rgb, image("exact.png").image.rgb);
  EXPECT_THAT(image("near.png").texts[0].second, HasSubstr(", Cache interval: 2, Guidance interval: \"0.1,0.8\", "));
}

TEST_F(BadInput, of_approximations_says_the_way_out) {
  for (const char* value : {"0", "-2", "1.5", "x"})
    expect_refusal({"generate", "a fox", std::string("--cache-interval=") + value}, 2,
                   HasSubstr("must be a whole number from 1 to 1000"));
  for (const char* value : {"0.5,0.2", "0.5", "-0.1,1", "0,1.1", "nan,1", "0.1,0.8x", ","})
    expect_refusal({"generate", "a fox", std::string("--guidance-interval=") + value}, 2,
                   HasSubstr("must be FROM,TO with 0 <= FROM <= TO <= 1, such as 0.1,0.8"));
  expect_refusal({"generate", "a fox", "--guidance", "1", "--guidance-interval", "0.1,0.8"}, 2,
                 HasSubstr("ask for more than 1, or leave the interval out"));
}

TEST_F(BadInput, of_flags_is_wrong_usage) {
  expect_refusal({"generate"}, 2, HasSubstr("no prompt"));
  expect_refusal({"generate", "a fox", "--steps", "0"}, 2,
                 HasSubstr("--steps 0: must be a whole number from 1 to 1000"));
  expect_refusal({"generate", "a fox", "--guidance", "-1"}, 2,
                 HasSubstr("--guidance -1: must be a number from 0 to 100"));
  expect_refusal({"generate", "a fox", "--scheduler", "foo"}, 2,
                 HasSubstr("pndm, ddim, euler, euler-ancestral, dpm++-2m"));
  expect_refusal({"generate", "a fox", "--karras"}, 2,
                 HasSubstr("--karras true: must be false with pndm; it can be true with euler"));
  expect_refusal({"generate", "a fox", "--seed", "18446744073709551615", "--count", "2"}, 2,
                 HasSubstr("the last seed"));
  expect_refusal({"generate", "a fox", "--out", "fox.gif"}, 2, HasSubstr("try fox.png"));
  expect_refusal({"generate", "a fox", "--out", "-", "--count", "2"}, 2, HasSubstr("give --out a folder"));
  expect_refusal({"generate", "a fox", "--memory-budget", "2"}, 2, HasSubstr("did you mean 2GiB?"));
  expect_refusal({"a fox"}, 2, HasSubstr("did you mean inkstone generate \"a fox\"?"));
  expect_refusal({"generate", "a fox", "--bogus"}, 2, HasSubstr("unknown flag --bogus"));
}

TEST_F(BadInput, of_sizes_names_those_that_work) {
  expect_refusal({"generate", "a fox", "--width", "101"}, 2,
                 MatchesRegex("inkstone: --width 101: must be a multiple of .*: the nearest are [0-9]+ and [0-9]+\n"));
  expect_refusal({"info", "--height", "102"}, 2, HasSubstr("--height 102: must be a multiple"));
}

TEST_F(BadInput, of_memory_names_the_least) {
  expect_refusal({"generate", "a fox", "--memory-budget", "1MiB"}, 2,
                 AllOf(HasSubstr("too small"), HasSubstr("the least that works is")));
}

TEST_F(BadInput, where_no_model_is_it_says_how_to_get_it) {
  expect_refusal({"generate", "a fox", "--model", "no/such-model"}, 1,
                 AllOf(HasSubstr("no/such-model"), HasSubstr("`inkstone pull no/such-model`")));
  expect_refusal({"info", "no-such-folder"}, 1, HasSubstr("no-such-folder"));
  const ScratchFolder wrong;
  wrong.write("holiday.txt", "");
  expect_refusal({"generate", "a fox", "--model", wrong.path().string()}, 1, HasSubstr("no model_index.json"));
}

TEST_F(BadInput, of_a_spoiled_model_is_named) {
  const std::string unet = "unet/diffusion_pytorch_model.safetensors";
  {
    const ModelCopy model;
    model.remove("vae");
    expect_refusal({"generate", "a fox", "--model", model.path()}, 1, HasSubstr("vae"));
  }
  {
    const ModelCopy model;
    model.remove(unet);
    expect_refusal({"generate", "a fox", "--model", model.path()}, 1, HasSubstr("unet"));
  }
  {
    const ModelCopy model;
    const std::string bytes = model.read(unet);
    model.write(unet, std::string_view(bytes).substr(0, bytes.size() / 2));
    expect_refusal({"generate", "a fox", "--model", model.path()}, 1, HasSubstr("diffusion_pytorch_model.safetensors"));
    model.write(unet, "\x08");
    expect_refusal({"generate", "a fox", "--model", model.path()}, 1, HasSubstr("diffusion_pytorch_model.safetensors"));
  }
  {
    const ModelCopy model;
    model.write("unet/config.json", "{\n  \"sample_size\": 16,,\n}");
    expect_refusal({"generate", "a fox", "--model", model.path()}, 1, HasSubstr("unet/config.json:2:"));
  }
}

TEST_F(BadInput, of_nan_weights_is_found_and_named_and_no_image_is_written) {
  const std::string unet = "unet/diffusion_pytorch_model.safetensors";
  const ModelCopy model;
  model.write(unet, with_nan(model.read(unet), "mid_block.resnets.0.conv1.weight"));
  expect_refusal({"generate", "a fox", "--model", model.path(), "--steps", "2"}, 1,
                 AllOf(HasSubstr("mid_block.resnets.0.conv1.weight"), HasSubstr("NaN")));
  EXPECT_EQ(program_.run({"info", model.path()}).code, 0) << "info must not read the numbers";
}

TEST_F(BadInput, of_an_output_is_found_before_the_work) {
  for (const std::string out : {"none/fox.png", "/dev/null"}) {
    const Outcome outcome = program_.run({"generate", "a fox", "--out", out, "--steps", "1"});
    EXPECT_EQ(outcome.code, 1) << out;
    EXPECT_THAT(outcome.error, AllOf(StartsWith("inkstone: cannot write "), testing::Not(HasSubstr("step 1")))) << out;
  }
}

TEST_F(BadInput, of_a_file_that_shall_stay_is_found_before_the_work) {
  program_.folder.write("fox-6.png", "old");
  const Outcome outcome = program_.run(
      {"generate", "a fox", "--seed", "5", "--count", "2", "--steps", "1", "--out", "fox.png", "--no-clobber"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, StartsWith("inkstone: fox-6.png is there, and --no-clobber keeps it"));
  EXPECT_EQ(text_of(program_.folder.path() / "fox-6.png"), "old");
}

TEST_F(BadInput, of_standard_output_for_two_is_json_with_the_way_out) {
  const Outcome outcome = program_.run({"generate", "a fox", "--out", "-", "--json"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("give --out a file"));
}

TEST_F(TheProgram, is_called_by_its_name) {
  program_.start({"generate", "a fox", "--steps", "900", "--scheduler", "ddim"});
  for (int tries = 0; tries < 600 && program_.error_so_far().empty(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(program_.name(), "inkstone\n");
  program_.send(SIGTERM);
  program_.wait();
}

TEST_F(TheProgram, computes_with_no_more_threads_than_there_are_processors) {
  const Outcome outcome =
      program_.run({"generate", "a fox", "--steps", "1", "--threads", "1000", "--json", "--out", "x.png"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, StartsWith("inkstone: --threads 1000: this process may use "));
  EXPECT_LT(parse_json(outcome.output, "output").at("device").at("threads").as_int64(), 1000);
}

TEST_F(BadInput, of_a_folder_without_permission_is_found_before_the_work) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const ScratchFolder closed;
  std::filesystem::permissions(closed.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const std::string out = (closed.path() / "fox.png").string();
  expect_refusal({"generate", "a fox", "--out", out}, 1,
                 AllOf(HasSubstr("cannot write " + out), HasSubstr("ermission")));
}

TEST_F(BadInput, where_the_disk_is_full_nothing_is_left) {
  program_.max_file_bytes = 4000;  // of the image's 8 KB; LLVM's OpenMP keeps a file of 1 KB itself
  expect_refusal({"generate", "a fox", "--steps", "1", "--quiet", "--out", "fox.png"}, 1, HasSubstr("fox.png"));
}

TEST_F(BadInput, of_a_config_file_is_named_with_its_place) {
  const ScratchFolder folder;
  folder.write("bad.toml", "steps = 3\nwidth = = 4\n");
  folder.write("key.toml", "\nstpes = 3\n");
  folder.write("type.toml", "steps = \"3\"\n");
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  expect_refusal({"generate", "a fox", "--config", file("bad.toml")}, 2, HasSubstr("bad.toml:2:9: "));
  expect_refusal({"generate", "a fox", "--config", file("key.toml")}, 2,
                 HasSubstr("key.toml:2:1: unknown key \"stpes\""));
  expect_refusal({"generate", "a fox", "--config", file("type.toml")}, 2, HasSubstr("type.toml:1:9: steps must be"));
  expect_refusal({"generate", "a fox", "--config", file("none.toml")}, 1, HasSubstr("none.toml"));
}

TEST_F(BadInput, is_json_too_where_that_was_asked_for) {
  for (const auto& [arguments, code] :
       std::vector<std::pair<std::vector<std::string>, int>>{{{"generate", "a fox", "--json", "--steps", "0"}, 2},
                                                             {{"info", "no/such-model", "--json"}, 1},
                                                             {{"--json"}, 2}}) {
    const Outcome outcome = program_.run(arguments);
    EXPECT_EQ(outcome.code, code);
    const Json json = parse_json(outcome.output, "output");
    EXPECT_EQ(json.at("exit_code").as_int64(), code);
    EXPECT_EQ(outcome.error, "inkstone: " + std::string(json.at("error").as_string()) + "\n");
  }
}

TEST_F(BadInput, is_traced_to_its_source_with_verbose) {
  const Outcome outcome = program_.run({"generate", "a fox", "--steps", "0", "--verbose"});
  EXPECT_THAT(outcome.error, HasSubstr("options.cpp:"));
}

TEST_F(Interrupted, it_stops_at_once_and_leaves_nothing) {
  for (const auto& [signal, code] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
    program_.start({"generate", "a fox", "--steps", "900", "--scheduler", "ddim", "--json"});
    for (int tries = 0; tries < 600 && program_.error_so_far().find("preparing") == std::string::npos; ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    program_.send(signal);
    const Outcome outcome = program_.wait();
    EXPECT_EQ(outcome.code, code);
    EXPECT_THAT(outcome.error, testing::EndsWith("inkstone: interrupted\n"));
    EXPECT_EQ(parse_json(outcome.output, "output").at("error").as_string(), "interrupted");
    EXPECT_THAT(program_.folder.names(), IsEmpty());
  }
}

TEST_F(Info, shows_the_model_and_the_memory_plan) {
  const Outcome outcome = program_.run({"info", "--precision", "fp32"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("UNet2DConditionModel"), HasSubstr("PNDMScheduler"),
                                    HasSubstr("beta_end"), HasSubstr("defaults"), HasSubstr("guidance"),
                                    HasSubstr("peak"), HasSubstr(" an image of 20 steps here")));
}

TEST_F(Info, plans_approximations) {
  const Outcome outcome = program_.run({"info", "--cache-interval", "3"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("unet_shallow"), HasSubstr("of 3 U-Net calls one is whole")));
}

TEST_F(Info, json_has_the_same) {
  const Outcome outcome = program_.run({"info", "--json", "--width", "128"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json json = parse_json(outcome.output, "output");
  EXPECT_EQ(json.at("model").at("components").at(1).at("name").as_string(), "unet");
  EXPECT_GT(json.at("model").at("parameters").as_int64(), 1'000'000);
  EXPECT_EQ(json.at("scheduler").at("class").as_string(), "PNDMScheduler");
  EXPECT_EQ(json.at("memory").at("width").as_int64(), 128);
  EXPECT_GT(json.at("memory").at("peak_bytes").to_number<int64_t>(), 0);
  EXPECT_GT(json.at("estimated_seconds").to_number<double>(), 0);
}

TEST_F(Bench, measures_every_stage) {
  const Outcome outcome = program_.run({"bench", "--steps", "1", "--out", "bench.json", "--json", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(text_of(program_.folder.path() / "bench.json"), outcome.output);
  EXPECT_THAT(program_.folder.names(), ElementsAre("bench.json"));
  const Json json = parse_json(outcome.output, "output");
  for (const char* stage : {"text_encoder", "guided_step", "vae"}) {
    const Json& measured = json.at("stages").at(stage);
    EXPECT_GT(measured.at("seconds").as_double(), 0) << stage;
    EXPECT_GE(measured.at("seconds").as_double(), measured.at("best_seconds").as_double()) << stage;
    EXPECT_GT(measured.at("flops").as_double(), 0) << stage;
    EXPECT_GT(measured.at("flops_run").as_double(), 0) << stage;
    EXPECT_GT(measured.at("bytes_moved").as_double(), 0) << stage;
    EXPECT_GT(measured.at("calls").to_number<int>(), 0) << stage;
    EXPECT_GT(measured.at("memory").at("measured_peak_bytes").to_number<int64_t>(), 0) << stage;
    EXPECT_GT(measured.at("memory").at("anonymous_peak_bytes").to_number<int64_t>(), 0) << stage;
    EXPECT_GT(measured.at("memory").at("planned_bytes").to_number<int64_t>(), 0) << stage;
    ASSERT_FALSE(measured.at("ops").as_array().empty()) << stage;
    for (const char* key : {"op", "calls", "seconds", "flops", "fraction_of_peak", "bytes_moved"})
      EXPECT_TRUE(measured.at("ops").at(0).as_object().contains(key)) << stage << key;
  }
  EXPECT_GT(json.at("memory").at("measured_peak_bytes").to_number<int64_t>(), 0);
}

TEST_F(Bench, counts_a_image_as_its_stages_and_the_first_step_as_its_parts) {
  const Outcome outcome = program_.run({"bench", "--steps", "3", "--repeat", "2", "--json", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const Json json = parse_json(outcome.output, "output");
  const auto flops = [&](const char* stage) { return json.at("stages").at(stage).at("flops").as_double(); };
  const Json& whole = json.at("end_to_end");
  EXPECT_EQ(json.at("stages").at("guided_step").at("runs").to_number<int>(), 6);
  EXPECT_EQ(whole.at("runs").to_number<int>(), 2);
  EXPECT_EQ(whole.at("steps").to_number<int>(), 3);
  EXPECT_DOUBLE_EQ(whole.at("flops").as_double(), 2 * flops("text_encoder") + 3 * flops("guided_step") + flops("vae"));
  EXPECT_DOUBLE_EQ(whole.at("by_medians").at("flops").as_double(),
                   2 * flops("text_encoder") + 20 * flops("guided_step") + flops("vae"));
  const Json& first = json.at("first_step");
  double parts = 0;
  for (const char* part : {"open_seconds", "plan_seconds", "prepare_seconds", "text_encoder_seconds", "step_seconds"}) {
    EXPECT_GT(first.at(part).as_double(), 0) << part;
    parts += first.at(part).as_double();
  }
  EXPECT_DOUBLE_EQ(first.at("total_seconds").as_double(), parts);
  EXPECT_EQ(first.at("prepare_components").as_object().size(), 3u);
}

TEST_F(Bench, measures_approximate_steps_apart) {
  const Outcome outcome = program_.run(
      {"bench", "--steps", "4", "--cache-interval", "2", "--guidance-interval", "0.3,1", "--json", "--out", "b.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("approximate: of 2 U-Net calls"), HasSubstr("shallow guided step: ")));
  const Json json = parse_json(outcome.output, "output");
  const auto stage = [&](const char* name) { return json.at("stages").at(name); };
  EXPECT_EQ(stage("guided_step").at("runs").to_number<int>(), 2);  // where guidance sets in, and the third
  EXPECT_EQ(stage("unguided_step").at("runs").to_number<int>(), 1);
  EXPECT_EQ(stage("shallow_guided_step").at("runs").to_number<int>(), 1);
  EXPECT_FALSE(json.at("stages").as_object().contains("shallow_unguided_step"));
  EXPECT_LT(stage("shallow_guided_step").at("flops").as_double(), stage("guided_step").at("flops").as_double() / 2);
  EXPECT_DOUBLE_EQ(stage("guided_step").at("flops").as_double(), 2 * stage("unguided_step").at("flops").as_double());
  EXPECT_TRUE(json.at("end_to_end").at("by_medians").is_null());  // 20 steps have a kind that 4 do not show
}

TEST_F(Bench, says_what_it_does_and_what_it_found) {
  const Outcome outcome = program_.run({"bench", "--steps", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("preparing unet"), HasSubstr("step 1 of 1"), HasSubstr("decoding")));
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("guided step: "), HasSubstr("conv2d"), HasSubstr("MB moved"), HasSubstr("end to end: "),
                    HasSubstr("with 20 steps"), HasSubstr("first step: "), HasSubstr("resident at the peak")));
}

TEST_F(Bench, compares_with_what_it_wrote) {
  ASSERT_EQ(program_.run({"bench", "--steps", "1", "--out", "before.json", "--quiet"}).code, 0);
  const Outcome outcome = program_.run({"bench", "--steps", "1", "--compare", "before.json", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("compared with before.json"), HasSubstr("now/before")));
  const Json json = parse_json(outcome.output, "output");
  const Json before = parse_json(text_of(program_.folder.path() / "before.json"), "before.json");
  const Json& row = json.at("compared").at("rows").at(0);
  const double now = json.at("stages").at("text_encoder").at("seconds").as_double(),
               then = before.at("stages").at("text_encoder").at("seconds").as_double();
  EXPECT_EQ(row.at("stage").as_string(), "text_encoder");
  EXPECT_DOUBLE_EQ(row.at("seconds_ratio").as_double(), now / then);
}

TEST_F(Bench, refuses_what_it_cannot_compare_before_the_work) {
  const ScratchFolder folder;
  folder.write("broken.json", "{\n  \"stages\": ,\n}");
  folder.write("other.json", "{\"images\": []}");
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  const auto stage = [](const char* name) { return std::string("\"") + name + "\": {\"seconds\": 1}"; };
  const std::string stages =
      "\"stages\": {" + stage("text_encoder") + ", " + stage("guided_step") + ", " + stage("vae") + "}";
  folder.write("model.json", "{" + stages + ", \"model\": {\"name\": \"big\", \"parameters\": 1066235307}}");
  expect_refusal({"bench", "--compare", file("none.json")}, 1, HasSubstr("none.json"));
  expect_refusal({"bench", "--compare", file("broken.json")}, 1, HasSubstr("broken.json:2:"));
  expect_refusal({"bench", "--compare", file("other.json")}, 1, HasSubstr("is no result of inkstone bench"));
  expect_refusal({"bench", "--compare", file("model.json")}, 2,
                 AllOf(HasSubstr("another model, big of 1066235307 parameters"), HasSubstr("--model")));
  expect_refusal({"bench", "--trace", "none/trace.json"}, 1, HasSubstr("cannot write none/trace.json"));
  expect_refusal({"bench", "--trace", "x.json", "--out", "x.json"}, 2, HasSubstr("the same file"));
}

TEST_F(Bench, writes_a_trace_of_stages_and_calls_in_the_order_of_time) {
  ASSERT_EQ(program_.run({"bench", "--steps", "2", "--trace", "trace.json", "--quiet"}).code, 0);
  EXPECT_THAT(program_.folder.names(), ElementsAre("trace.json"));
  const Json json = parse_json(text_of(program_.folder.path() / "trace.json"), "trace.json");
  std::map<int64_t, double> ends;  // by track
  std::map<std::string, int> stages;
  size_t calls = 0;
  for (const Json& event : json.at("traceEvents").as_array()) {
    if (event.at("ph").as_string() != "X") continue;
    const double begin = event.at("ts").to_number<double>(), duration = event.at("dur").to_number<double>();
    double& end = ends[event.at("tid").as_int64()];
    EXPECT_GE(begin, end - 1) << event.at("name").as_string();
    EXPECT_GE(duration, 0);
    end = begin + duration;
    if (event.at("tid").as_int64() == 1) ++stages[std::string(event.at("name").as_string())];
    if (event.at("args").as_object().contains("shapes")) ++calls;
  }
  EXPECT_EQ(ends.size(), 2u);
  EXPECT_GT(calls, 100u);
  EXPECT_EQ(stages["open the model"], 1);
  EXPECT_EQ(stages["first step"], 1);
  EXPECT_EQ(stages["guided step"], 2);
  EXPECT_EQ(stages["VAE"], 1);
}

}  // namespace
}  // namespace inkstone
