#include "app/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(std::string_view toml) {
  Options options;
  try {
    apply_config(toml, "c.toml", options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(ConfigFile, keys_are_the_flags_names) {
  Options options;
  apply_config(R"(
prompt = "a fox"
negative = "blurry"
seed = 7
steps = 12
guidance = 3        # a whole number is a number
scheduler = "ddim"
karras = false
eta = 0.25
memory-budget = "2GiB"
vae-tiling = "on"
json = true
)",
               "c.toml", options);
  EXPECT_EQ(options.request.prompt, "a fox");
  EXPECT_EQ(options.request.negative_prompt, "blurry");
  EXPECT_EQ(options.request.seed, 7u);
  EXPECT_EQ(options.request.steps, 12);
  EXPECT_EQ(options.request.guidance_scale, 3.0f);
  EXPECT_EQ(options.request.scheduler, "ddim");
  EXPECT_EQ(options.request.karras, false);
  EXPECT_EQ(options.request.eta, 0.25f);
  ASSERT_TRUE(options.memory_budget);
  EXPECT_EQ(options.memory_budget->bytes, uint64_t{2} << 30);
  EXPECT_EQ(options.vae_tiling, "on");
  EXPECT_EQ(options.json, true);
  EXPECT_FALSE(options.request.width);
}

TEST(ConfigFile, the_words_of_other_programs_are_keys_too) {
  Options options;
  apply_config("negative_prompt = \"blurry\"\nnum-inference-steps = 12\ncfg-scale = 3\nsize = \"768x512\"\nseed = -1\n",
               "c.toml", options, Command::kGenerate);
  EXPECT_EQ(options.request.negative_prompt, "blurry");
  EXPECT_EQ(options.request.steps, 12);
  EXPECT_EQ(options.request.guidance_scale, 3.0f);
  EXPECT_EQ(options.request.width, 768);
  EXPECT_EQ(options.request.height, 512);
  EXPECT_TRUE(options.request.seed);
  EXPECT_TRUE(options.seed_drawn);
  EXPECT_THAT(refusal("cfg-scal = 3"), HasSubstr("mean cfg-scale?"));
  EXPECT_THAT(refusal("cfg-scale = 3\nguidance = 4"),
              StartsWith("c.toml:2:1: guidance stands there by another name too (inkstone calls it guidance)"));
  options = {};
  apply_config("guidance = 3\n[generate]\ncfg-scale = 4", "c.toml", options, Command::kGenerate);
  EXPECT_EQ(options.request.guidance_scale, 4.0f);
}

TEST(ConfigFile, a_flag_for_one_side_leaves_the_other_of_the_file_s_size) {
  Options options;
  options.request.width = 256;
  apply_config("size = \"768x512\"", "c.toml", options, Command::kGenerate);
  EXPECT_EQ(options.request.width, 256);
  EXPECT_EQ(options.request.height, 512);
}

TEST(ConfigFile, a_tilde_in_a_path_is_the_home_folder) {
  if (!std::getenv("HOME")) GTEST_SKIP() << "there is no HOME";
  Options options;
  apply_config("model = \"~/models/sd15\"", "c.toml", options, Command::kGenerate);
  EXPECT_EQ(options.model, std::string(std::getenv("HOME")) + "/models/sd15");
}

TEST(ConfigFile, flags_are_nearer_and_a_table_is_nearer_than_the_file_around_it) {
  Options options;
  options.request.steps = 5;
  apply_config("steps = 12\nwidth = 256\nheight = 128\n[generate]\nwidth = 512\n", "c.toml", options);
  EXPECT_EQ(options.request.steps, 5);
  EXPECT_EQ(options.request.width, 512);
  EXPECT_EQ(options.request.height, 128);
}

TEST(ConfigFile, a_size_may_be_a_number_of_bytes) {
  Options options;
  apply_config("memory-budget = 1048576", "c.toml", options);
  ASSERT_TRUE(options.memory_budget);
  EXPECT_EQ(options.memory_budget->bytes, 1048576u);
}

TEST(ConfigFile, approximations_have_keys) {
  Options options;
  apply_config("cache-interval = 3\nguidance-interval = \"0.1,0.8\"\n", "c.toml", options);
  EXPECT_EQ(options.request.cache_interval, 3);
  EXPECT_EQ(options.request.guidance_interval, (Interval{0.1f, 0.8f}));
  EXPECT_THAT(refusal("cache-interval = 0"), HasSubstr("cache-interval = 0: must be a whole number from 1 to 1000"));
  EXPECT_THAT(refusal("guidance-interval = 1"),
              HasSubstr("guidance-interval must be a text such as \"0.1,0.8\", not a whole number"));
  EXPECT_THAT(refusal("guidance-interval = \"1,0\""), HasSubstr("must be FROM,TO with 0 <= FROM <= TO <= 1"));
}

TEST(ConfigFile, faults_are_named_with_line_and_column) {
  EXPECT_THAT(refusal("\nstpes = 3\n"),
              AllOf(StartsWith("c.toml:2:1: unknown key \"stpes\""), HasSubstr("mean steps?")));
  EXPECT_THAT(refusal("config = \"other.toml\""), StartsWith("c.toml:1:1: unknown key \"config\""));
  EXPECT_THAT(refusal("[other]\nx = 1\n"), StartsWith("c.toml:1:2: unknown key \"other\""));
  EXPECT_THAT(refusal("steps = \"3\""), StartsWith("c.toml:1:9: steps must be a whole number, not a text"));
  EXPECT_THAT(refusal("steps = 3.5"),
              StartsWith("c.toml:1:9: steps must be a whole number, not a number with a fraction"));
  EXPECT_THAT(refusal("\n\n  guidance = true"),
              StartsWith("c.toml:3:14: guidance must be a number, not true or false"));
  EXPECT_THAT(refusal("karras = 1"), StartsWith("c.toml:1:10: karras must be true or false, not a whole number"));
  EXPECT_THAT(refusal("prompt = [\"a\"]"), StartsWith("c.toml:1:10: prompt must be a text in quotes, not a list"));
  EXPECT_THAT(refusal("steps = 0"), StartsWith("c.toml:1:9: steps = 0: must be a whole number from 1 to 1000"));
  EXPECT_THAT(refusal("[generate]\nscheduler = \"x\""),
              StartsWith("c.toml:2:13: scheduler = x: must be one of pndm, "));
  EXPECT_THAT(refusal("seed = -2"), StartsWith("c.toml:1:8: seed = -2: must be a whole number from 0"));
  EXPECT_THAT(refusal("guidance = nan"), StartsWith("c.toml:1:12: guidance = nan: must be a number"));
  EXPECT_THAT(refusal("generate = 3"), StartsWith("c.toml:1:12: generate must be a table"));
}

TEST(ConfigFile, malformed_toml_is_named_with_line_and_column) {
  EXPECT_THAT(refusal("steps = 3\nwidth = = 4\n"), StartsWith("c.toml:2:9: "));
  EXPECT_THAT(refusal("steps = 3\nsteps = 4\n"), StartsWith("c.toml:2:"));
  EXPECT_THAT(refusal("prompt = \"a fox"), StartsWith("c.toml:1:"));
  EXPECT_THAT(refusal("seed = 99999999999999999999"), StartsWith("c.toml:1:"));
  EXPECT_THAT(refusal("\xff\xfe = 1"), StartsWith("c.toml:1:"));
}

TEST(ConfigFile, a_value_that_a_flag_hides_is_checked_all_the_same) {
  Options options;
  options.request.steps = 5;
  EXPECT_THROW(apply_config("steps = 0", "c.toml", options), UsageError);
}

TEST(ConfigFile, width_is_nearer_than_size_in_one_file) {
  Options options;
  apply_config("size = '128x64'\nwidth = 64\n", "c.toml", options);
  EXPECT_EQ(options.request.width, 64);
  EXPECT_EQ(options.request.height, 64);
}

TEST(ConfigFile, a_flag_takes_the_place_of_what_a_file_says_instead) {
  Options with_prompts;
  with_prompts.prompts = "lines.txt";
  apply_config("prompt = 'x'\ncount = 3\n", "c.toml", with_prompts);
  EXPECT_FALSE(with_prompts.request.prompt);
  EXPECT_FALSE(with_prompts.count);
  Options with_prompt;
  with_prompt.request.prompt = "x";
  apply_config("prompts = 'lines.txt'\n", "c.toml", with_prompt);
  EXPECT_FALSE(with_prompt.prompts);
}

}  // namespace
}  // namespace inkstone
