#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

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

TEST(CommandLine, the_words_of_other_programs_are_taken) {
  const auto request = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "generate");
    return parse_command_line(arguments).options.request;
  };
  // stable-diffusion.cpp's
  const Options sd_cpp =
      parse_command_line({"generate", "-p",      "a fox", "-n",          "blurry", "-s",
                          "7",        "--steps", "9",     "--cfg-scale", "3",      "--sampling-method",
                          "euler",    "-W",      "128",   "-H",          "192",    "-o",
                          "x.png",    "-b",      "2",     "-m",          "dir",    "-t",
                          "1",        "-v"})
          .options;
  EXPECT_EQ(sd_cpp.request.prompt, "a fox");
  EXPECT_EQ(sd_cpp.request.negative_prompt, "blurry");
  EXPECT_EQ(sd_cpp.request.seed, 7u);
  EXPECT_EQ(sd_cpp.request.steps, 9);
  EXPECT_EQ(sd_cpp.request.guidance_scale, 3.0f);
  EXPECT_EQ(sd_cpp.request.scheduler, "euler");
  EXPECT_EQ(sd_cpp.request.width, 128);
  EXPECT_EQ(sd_cpp.request.height, 192);
  EXPECT_EQ(sd_cpp.out, "x.png");
  EXPECT_EQ(sd_cpp.count, 2);
  EXPECT_EQ(sd_cpp.model, "dir");
  EXPECT_EQ(sd_cpp.threads, 1);
  EXPECT_EQ(sd_cpp.verbose, true);
  // diffusers', with its underscores too
  const ImageRequest diffusers =
      request({"--prompt=a fox", "--negative_prompt", "blurry", "--num-inference-steps", "9", "--guidance_scale=3"});
  EXPECT_EQ(diffusers.prompt, "a fox");
  EXPECT_EQ(diffusers.negative_prompt, "blurry");
  EXPECT_EQ(diffusers.steps, 9);
  EXPECT_EQ(diffusers.guidance_scale, 3.0f);
  // AUTOMATIC1111's and CompVis's
  EXPECT_EQ(request({"x", "--sampler_name", "ddim", "--cfg_scale", "2"}).scheduler, "ddim");
  EXPECT_EQ(request({"x", "--sampler", "ddim", "--scale", "2"}).guidance_scale, 2.0f);
  EXPECT_EQ(parse_command_line({"generate", "x", "--n_iter", "3", "--outdir", "out/"}).options.count, 3);
}

TEST(CommandLine, no_word_means_two_settings) {
  for (Command command : kCommands) {
    std::set<std::string> words;
    for (const Setting& setting : settings()) {
      if (!(setting.commands & bit(command))) continue;
      EXPECT_TRUE(words.insert(setting.name).second) << setting.name;
      for (const std::string& alias : aliases_of(setting)) {
        EXPECT_TRUE(words.insert(alias).second) << alias;
        EXPECT_EQ(find_setting(command, alias), &setting) << alias;
      }
    }
  }
}

TEST(CommandLine, a_size_is_width_and_height_and_these_are_nearer) {
  const auto size = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"generate", "x"});
    const ImageRequest request = parse_command_line(flags).options.request;
    return std::pair(request.width, request.height);
  };
  EXPECT_EQ(size({"--size", "768x512"}), std::pair(std::optional(768), std::optional(512)));
  EXPECT_EQ(size({"--size", "64"}), std::pair(std::optional(64), std::optional(64)));
  EXPECT_EQ(size({"--size", "768x512", "--width", "256"}), std::pair(std::optional(256), std::optional(512)));
  EXPECT_EQ(size({"-H", "256", "--size", "768x512"}), std::pair(std::optional(768), std::optional(256)));
  for (const std::string wrong : {"", "x", "768x", "x512", "big", "1x2x3", "768,512"})
    EXPECT_THAT(refusal({"generate", "x", "--size", wrong}),
                StartsWith("--size " + wrong + ": must be WIDTHxHEIGHT, such as 768x512"));
  EXPECT_EQ(refusal({"generate", "x", "--size", "0x512"}),
            "--size 0x512: width and height must each be a whole number from 1 to 16384");
}

TEST(CommandLine, a_seed_of_minus_one_is_drawn) {
  for (const char* word : {"-1", "random"}) {
    const Options options = parse_command_line({"generate", "x", "--seed", word}).options;
    EXPECT_TRUE(options.request.seed) << word;
    EXPECT_TRUE(options.seed_drawn) << word;
  }
  EXPECT_FALSE(parse_command_line({"generate", "x", "--seed", "-1", "--seed", "7"}).options.seed_drawn);
}

TEST(CommandLine, errors_call_a_flag_as_it_was_typed) {
  EXPECT_THAT(refusal({"generate", "x", "--num_inference_steps", "0"}), StartsWith("--num_inference_steps 0: must be"));
  EXPECT_THAT(refusal({"generate", "x", "--cfg-scale=-1"}), StartsWith("--cfg-scale -1: must be"));
  EXPECT_THAT(refusal({"generate", "x", "-W", "0"}), StartsWith("-W 0: must be"));
}

TEST(CommandLine, two_prompts_are_refused) {
  EXPECT_THAT(refusal({"generate", "a fox", "--prompt", "a bee"}),
              AllOf(HasSubstr("\"a fox\""), HasSubstr("\"a bee\""), HasSubstr("--prompts")));
}

TEST(CommandLine, a_tilde_is_the_home_folder_where_a_path_is_meant) {
  const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
  if (home.empty()) GTEST_SKIP() << "there is no HOME";
  const Options options =
      parse_command_line({"generate", "~ a fox", "--model=~/models/sd15", "--out", "~", "--negative", "~/x"}).options;
  EXPECT_EQ(options.model, home + "/models/sd15");
  EXPECT_EQ(options.out, home);
  EXPECT_EQ(options.request.prompt, "~ a fox");
  EXPECT_EQ(options.request.negative_prompt, "~/x");
  EXPECT_EQ(parse_command_line({"info", "~user/x"}).options.model, "~user/x");
}

TEST(CommandLine, a_budget_without_its_unit_asks_for_it) {
  const auto budget = [](const char* size) { return refusal({"generate", "x", "--memory-budget", size}); };
  EXPECT_EQ(budget("2"), "--memory-budget 2: 2 bytes; did you mean 2GiB?");
  EXPECT_EQ(budget("1.5"), "--memory-budget 1.5: 1 bytes; did you mean 1.5GiB?");
  EXPECT_EQ(budget("800"), "--memory-budget 800: 800 bytes; did you mean 800MiB?");
  EXPECT_EQ(budget("100KB"), "--memory-budget 100KB: 97.7 KiB; it must be at least 1.00 MiB");
  EXPECT_EQ(budget("1000000"), "--memory-budget 1000000: 977 KiB; it must be at least 1.00 MiB");
  EXPECT_EQ(budget("1MiB"), "");
  EXPECT_EQ(budget("1073741824"), "");
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
      {{"--width", "0"}, "--width 0: must be a whole number from 1 to 16384"},
      {{"--height", "99999999999"}, "--height 99999999999: must be a whole number from 1 to 16384"},
      {{"--seed", "-2"}, "--seed -2: must be a whole number from 0 to 18446744073709551615, or -1: one is drawn"},
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
  EXPECT_THAT(refusal({"generate", "x", "--negativ-prompt", "y"}), HasSubstr("mean --negative-prompt?"));
  EXPECT_THAT(refusal({"generate", "x", "--cfgscale", "3"}), HasSubstr("mean --cfg-scale?"));
  EXPECT_THAT(refusal({"generate", "x", "--sed=3"}),
              AllOf(StartsWith("unknown flag --sed"), HasSubstr("mean --seed?")));
  EXPECT_THAT(refusal({"generate", "x", "-z"}), StartsWith("unknown flag -z (inkstone"));
  EXPECT_THAT(refusal({"generate", "a", "red", "apple"}), AllOf(HasSubstr("\"red\""), HasSubstr("in quotes")));
  EXPECT_THAT(refusal({"generate", "x", "--steps"}), StartsWith("--steps needs a value"));
  EXPECT_THAT(refusal({"genrate", "x"}), AllOf(StartsWith("unknown command \"genrate\""), HasSubstr("mean generate?")));
  EXPECT_THAT(refusal({"a fox"}), HasSubstr("did you mean inkstone generate \"a fox\"?"));
  EXPECT_THAT(refusal({"a fox", "--seed", "3"}), HasSubstr("did you mean inkstone generate \"a fox\"?"));
  EXPECT_THAT(refusal({"watermelon"}), HasSubstr("did you mean inkstone generate \"watermelon\"?"));
  EXPECT_THAT(refusal({"hlep"}), HasSubstr("mean help?"));
  EXPECT_THAT(refusal({"help", "genrate"}),
              AllOf(StartsWith("there is no help on \"genrate\""), HasSubstr("generate, ")));
  EXPECT_THAT(refusal({"--json"}), StartsWith("unknown flag --json"));
  EXPECT_THAT(refusal({"info", "--seed", "3"}), StartsWith("unknown flag --seed"));
}

TEST(CommandLine, help_and_version_are_texts) {
  EXPECT_EQ(parse_command_line({"--version"}).text, std::string("inkstone ") + kVersion + "\n");
  EXPECT_EQ(parse_command_line({"-V"}).text, parse_command_line({"--version"}).text);
  EXPECT_EQ(parse_command_line({"version"}).text, parse_command_line({"--version"}).text);
  EXPECT_EQ(parse_command_line({"help"}).text, general_help());
  EXPECT_EQ(parse_command_line({"help", "serve"}).text, command_help(Command::kServe));
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
    for (const std::string& name : known_names(command)) EXPECT_THAT(text, HasSubstr("--" + name));
    size_t begin = 0;
    for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_LE(end - begin, 120u) << text.substr(begin, end - begin);
  }
  for (const std::string& name : scheduler_names()) EXPECT_THAT(command_help(Command::kGenerate), HasSubstr(name));
}

}  // namespace
}  // namespace inkstone
