#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/help.h"
#include "base/error.h"
#include "base/version.h"
#include "diffusion/scheduler.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    parse_command_line(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(CommandLine, every_flag_of_generate_reaches_its_option) {
  const CommandLine line = parse_command_line({"generate",
                                               "a fox",
                                               "--negative",
                                               "blurry",
                                               "--seed",
                                               "18446744073709551615",
                                               "--steps=30",
                                               "--guidance",
                                               "5.5",
                                               "--scheduler",
                                               "dpm++-2m",
                                               "--karras",
                                               "--eta",
                                               "0.5",
                                               "--width",
                                               "768",
                                               "--height",
                                               "640",
                                               "--count",
                                               "3",
                                               "--out",
                                               "fox.png",
                                               "--model",
                                               "dir",
                                               "--device",
                                               "reference",
                                               "--precision",
                                               "fp32",
                                               "--threads",
                                               "2",
                                               "--memory-budget",
                                               "2GiB",
                                               "--vae-tiling",
                                               "on",
                                               "--attention-slicing",
                                               "off",
                                               "--config",
                                               "c.toml",
                                               "--json",
                                               "--quiet",
                                               "--verbose"});
  ASSERT_FALSE(line.text);
  EXPECT_EQ(line.command, Command::kGenerate);
  const Options& options = line.options;
  EXPECT_EQ(options.request.prompt, "a fox");
  EXPECT_EQ(options.request.negative_prompt, "blurry");
  EXPECT_EQ(options.request.seed, UINT64_MAX);
  EXPECT_EQ(options.request.steps, 30);
  EXPECT_EQ(options.request.guidance_scale, 5.5f);
  EXPECT_EQ(options.request.scheduler, "dpm++-2m");
  EXPECT_EQ(options.request.karras, true);
  EXPECT_EQ(options.request.eta, 0.5f);
  EXPECT_EQ(options.request.width, 768);
  EXPECT_EQ(options.request.height, 640);
  EXPECT_EQ(options.count, 3);
  EXPECT_EQ(options.out, "fox.png");
  EXPECT_EQ(options.model, "dir");
  EXPECT_EQ(options.device, "reference");
  EXPECT_EQ(options.precision, "fp32");
  EXPECT_EQ(options.threads, 2);
  ASSERT_TRUE(options.memory_budget);
  EXPECT_EQ(options.memory_budget->bytes, uint64_t{2} << 30);
  EXPECT_EQ(options.vae_tiling, "on");
  EXPECT_EQ(options.attention_slicing, "off");
  EXPECT_EQ(options.config, "c.toml");
  EXPECT_EQ(options.json, true);
  EXPECT_EQ(options.quiet, true);
  EXPECT_EQ(options.verbose, true);
}

TEST(CommandLine, what_is_not_given_is_unset) {
  const Options options = parse_command_line({"generate", "a fox"}).options;
  for (const Setting& setting : settings()) {
    const bool given = setting.name == std::string_view("prompt");
    EXPECT_EQ(is_set(options, setting), given) << setting.name;
  }
}

TEST(CommandLine, every_scheduler_is_taken) {
  for (const std::string& name : scheduler_names())
    EXPECT_EQ(parse_command_line({"generate", "x", "--scheduler", name}).options.request.scheduler, name);
}

TEST(CommandLine, prompts_are_taken_as_they_stand) {
  for (const std::string prompt :
       {"[a fox]", "a, b", "info", "generate", "", "-", "'quoted' \"twice\"", "{x}", "%d\\n", "-1"})
    EXPECT_EQ(parse_command_line({"generate", prompt, "--steps", "3"}).options.request.prompt, prompt);
  EXPECT_EQ(parse_command_line({"generate", "--", "--steps"}).options.request.prompt, "--steps");
  EXPECT_EQ(parse_command_line({"generate", "x", "--negative", "--blurry"}).options.request.negative_prompt,
            "--blurry");
}

TEST(CommandLine, the_last_of_two_equal_flags_holds) {
  EXPECT_EQ(parse_command_line({"generate", "x", "--steps", "3", "--steps", "4"}).options.request.steps, 4);
  EXPECT_EQ(parse_command_line({"generate", "x", "--karras", "--no-karras"}).options.request.karras, false);
}

TEST(CommandLine, info_takes_the_model_with_and_without_its_flag) {
  EXPECT_EQ(parse_command_line({"info"}).options.model, std::nullopt);
  EXPECT_EQ(parse_command_line({"info", "dir", "--json"}).options.model, "dir");
  EXPECT_EQ(parse_command_line({"info", "--model", "dir"}).options.model, "dir");
  EXPECT_EQ(parse_command_line({"info", "dir"}).command, Command::kInfo);
  EXPECT_EQ(parse_command_line({"bench", "--steps", "3"}).command, Command::kBench);
}

TEST(CommandLine, wrong_values_are_refused_with_what_is_allowed) {
  struct Row {
    std::vector<std::string> flags;
    std::string message;
  };
  const Row rows[] = {
      {{"--steps", "0"}, "--steps 0: must be a whole number from 1 to 1000"},
      {{"--steps", "-3"}, "--steps -3: must be a whole number from 1 to 1000"},
      {{"--steps", "2.5"}, "--steps 2.5: must be a whole number from 1 to 1000"},
      {{"--steps", "many"}, "--steps many: must be a whole number from 1 to 1000"},
      {{"--steps", ""}, "--steps : must be a whole number from 1 to 1000"},
      {{"--guidance", "-1"}, "--guidance -1: must be a number from 0 to 100"},
      {{"--guidance", "nan"}, "--guidance nan: must be a number from 0 to 100"},
      {{"--guidance", "inf"}, "--guidance inf: must be a number from 0 to 100"},
      {{"--guidance", "1e99"}, "--guidance 1e99: must be a number from 0 to 100"},
      {{"--eta", "1.5"}, "--eta 1.5: must be a number from 0 to 1"},
      {{"--count", "0"}, "--count 0: must be a whole number from 1 to 1000000"},
      {{"--threads", "0"}, "--threads 0: must be a whole number from 1 to 1024"},
      {{"--width", "0"}, "--width 0: must be a whole number from 1 to 65536"},
      {{"--height", "99999999999"}, "--height 99999999999: must be a whole number from 1 to 65536"},
      {{"--seed", "-1"}, "--seed -1: must be a whole number from 0 to 18446744073709551615"},
      {{"--seed", "18446744073709551616"},
       "--seed 18446744073709551616: must be a whole number from 0 to 18446744073709551615"},
      {{"--precision", "int8"}, "--precision int8: must be one of auto, fp32, bf16, fp16, mixed"},
      {{"--vae-tiling", "yes"}, "--vae-tiling yes: must be one of auto, on, off"},
      {{"--device", "cuda"}, "--device cuda: must be one of "},
      {{"--memory-budget", "2G"}, "--memory-budget 2G: must be an amount of memory, such as 2GiB"},
  };
  for (const Row& row : rows) {
    std::vector<std::string> arguments{"generate", "x"};
    arguments.insert(arguments.end(), row.flags.begin(), row.flags.end());
    EXPECT_THAT(refusal(arguments), StartsWith(row.message));
  }
  EXPECT_THAT(refusal({"generate", "x", "--scheduler", "eular"}),
              AllOf(HasSubstr("pndm, ddim, euler, euler-ancestral, dpm++-2m, dpm++-2m-sde, unipc, lcm"),
                    HasSubstr("mean euler?")));
}

TEST(CommandLine, what_is_not_known_is_refused_with_what_was_meant) {
  EXPECT_THAT(refusal({"generate", "x", "--stpes", "20"}),
              AllOf(StartsWith("unknown flag --stpes"), HasSubstr("mean --steps?")));
  EXPECT_THAT(refusal({"generate", "x", "--prompt", "y"}), StartsWith("unknown flag --prompt"));
  EXPECT_THAT(refusal({"generate", "x", "--sed=3"}),
              AllOf(StartsWith("unknown flag --sed"), HasSubstr("mean --seed?")));
  EXPECT_THAT(refusal({"generate", "x", "-q"}), StartsWith("unknown flag -q"));
  EXPECT_THAT(refusal({"generate", "a", "red", "apple"}), AllOf(HasSubstr("\"red\""), HasSubstr("in quotes")));
  EXPECT_THAT(refusal({"generate", "x", "--steps"}), StartsWith("--steps needs a value"));
  EXPECT_THAT(refusal({"genrate", "x"}), AllOf(StartsWith("unknown command \"genrate\""), HasSubstr("mean generate?")));
  EXPECT_THAT(refusal({"--json"}), StartsWith("unknown flag --json"));
  EXPECT_THAT(refusal({"info", "--seed", "3"}), StartsWith("unknown flag --seed"));
}

TEST(CommandLine, help_and_version_are_texts) {
  EXPECT_EQ(parse_command_line({"--version"}).text, std::string("inkstone ") + kVersion + "\n");
  EXPECT_EQ(parse_command_line({"--help"}).text, general_help());
  EXPECT_EQ(parse_command_line({"generate", "--help"}).text, command_help(Command::kGenerate));
  EXPECT_EQ(parse_command_line({"info", "-h"}).text, command_help(Command::kInfo));
  const CommandLine none = parse_command_line({});
  EXPECT_EQ(none.text, general_help());
  EXPECT_TRUE(none.misused);
}

TEST(Help, names_every_setting_and_keeps_its_lines_short) {
  for (Command command : kCommands) {
    const std::string text = command_help(command);
    for (const std::string& name : setting_names(command))
      EXPECT_THAT(text, HasSubstr(name == "prompt" ? "PROMPT" : "--" + name)) << command_name(command);
    size_t begin = 0;
    for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_LE(end - begin, 120u) << text.substr(begin, end - begin);
  }
  for (const std::string& name : scheduler_names()) EXPECT_THAT(command_help(Command::kGenerate), HasSubstr(name));
}

}  // namespace
}  // namespace inkstone
