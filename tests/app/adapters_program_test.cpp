// LoRA files and textual inversions on the command line: flags, tags in prompts, config files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/program.h"
#include "base/image.h"
#include "base/json.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";

class Adapted : public testing::Test {
 protected:
  void SetUp() override {
    if (program_path().empty()) GTEST_SKIP() << "the program is not built: build the target inkstone";
    fs::create_directories(program_.folder.path() / "loras" / "below");
    fs::copy(kFixtures / "adapters" / "lora.safetensors", program_.folder.path() / "loras" / "style.safetensors");
    fs::copy(kFixtures / "adapters" / "second.safetensors", program_.folder.path() / "loras" / "below");
  }

  Outcome generate(const std::string& prompt, std::vector<std::string> more, const std::string& out = "x.png") {
    std::vector<std::string> arguments{"generate", prompt, "--model", (kFixtures / "models" / "tiny-sd15").string(),
                                       "--seed",   "1",    "--steps", "2",
                                       "--out",    out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program_.run(arguments);
  }
  DecodedPng drawn(const std::string& prompt, std::vector<std::string> more) {
    const Outcome outcome = generate(prompt, std::move(more));
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    said_ = outcome.error;
    const std::string bytes = text_of(program_.folder.path() / "x.png");
    return decode_png(std::as_bytes(std::span(bytes)));
  }
  static std::string parameters(const DecodedPng& png) { return png.texts.at(0).second; }
  void expect_refusal(const std::string& prompt, std::vector<std::string> more, const std::string& text) {
    const Outcome outcome = generate(prompt, std::move(more));
    EXPECT_NE(outcome.code, 0);
    EXPECT_THAT(outcome.error, HasSubstr(text));
    EXPECT_FALSE(fs::exists(program_.folder.path() / "x.png"));
  }

  ProgramRun program_;
  std::string said_;
};

TEST_F(Adapted, a_lora_by_flag_changes_the_image_by_its_strength) {
  const DecodedPng without = drawn("a fox", {}), with = drawn("a fox", {"--lora", "loras/style.safetensors:0.7"}),
                   none = drawn("a fox", {"--lora", "loras/style.safetensors:0"}),
                   text = drawn("a fox", {"--lora", "loras/style.safetensors:0.7:0"});
  EXPECT_NE(with.image.rgb, without.image.rgb);
  EXPECT_NE(text.image.rgb, with.image.rgb);
  EXPECT_EQ(none.image.rgb, without.image.rgb);
  EXPECT_THAT(parameters(with), AllOf(HasSubstr("a fox <lora:style:0.7>\n"), HasSubstr("Lora hashes: \"style: ")));
  EXPECT_THAT(parameters(text), HasSubstr("<lora:style:0.7:0>"));
  EXPECT_THAT(parameters(without), Not(HasSubstr("lora")));
}

TEST_F(Adapted, a_tag_in_the_prompt_is_the_same_as_the_flag) {
  const DecodedPng by_tag = drawn("a fox<lora:style:0.7>", {"--lora-dir", "loras"});
  const DecodedPng by_flag = drawn("a fox", {"--lora", "loras/style.safetensors:0.7"});
  EXPECT_EQ(by_tag.image.rgb, by_flag.image.rgb);
  EXPECT_EQ(parameters(by_tag), parameters(by_flag));
  const DecodedPng two = drawn("a fox<lora:style:te=0.7:unet=0.2> <lora:second:-0.4>", {"--lora-dir", "loras"});
  EXPECT_THAT(parameters(two), HasSubstr("<lora:style:0.7:0.2> <lora:second:-0.4>"));
  EXPECT_NE(two.image.rgb, by_tag.image.rgb);
  // behind those of --lora
  const DecodedPng both =
      drawn("a fox<lora:second:-0.4>", {"--lora-dir", "loras", "--lora", "loras/style.safetensors:0.7:0.2"});
  EXPECT_EQ(both.image.rgb, two.image.rgb);
}

TEST_F(Adapted, a_tag_is_text_without_a_folder_and_wrong_ones_are_named) {
  const DecodedPng text = drawn("a fox <lora:style:0.7>", {});
  EXPECT_THAT(said_, HasSubstr("<lora:style:0.7> in a prompt is plain text here"));
  EXPECT_NE(text.image.rgb, drawn("a fox", {}).image.rgb);
  fs::remove(program_.folder.path() / "x.png");
  expect_refusal("a <lora:styl:1>", {"--lora-dir", "loras"}, "did you mean style?");
  expect_refusal("a <lora:../style:1>", {"--lora-dir", "loras"}, "path");
  expect_refusal("a <lora:style:much>", {"--lora-dir", "loras"}, "<lora:NAME:STRENGTH>");
  expect_refusal("a <lora:style:1>", {"--lora-dir", "nowhere"}, "nowhere");
  expect_refusal("a", {"--lora", "nothing.safetensors"}, "nothing.safetensors");
}

TEST_F(Adapted, all_images_of_a_command_have_one_set) {
  program_.folder.write("same.txt", "a fox<lora:style:0.7>\na bee<lora:style:0.7>\n");
  program_.folder.write("other.txt", "a fox<lora:style:0.7>\na bee\n");
  const std::vector<std::string> rest{"--model",    (kFixtures / "models" / "tiny-sd15").string(),
                                      "--steps",    "1",
                                      "--lora-dir", "loras",
                                      "--out",      "made/",
                                      "--seed",     "1"};
  std::vector<std::string> arguments{"generate", "--prompts", "same.txt"};
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  EXPECT_EQ(program_.run(arguments).code, 0);
  EXPECT_TRUE(fs::exists(program_.folder.path() / "made" / "a-bee-2.png"));
  arguments[2] = "other.txt";
  const Outcome outcome = program_.run(arguments);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("image 2 asks for other adapters than the first"));
}

TEST_F(Adapted, a_config_file_and_info_have_them_too) {
  program_.folder.write("inkstone.toml", "lora = [\"loras/style.safetensors:0.7\"]\nembedding-dir = \"" +
                                             (kFixtures / "embeddings").string() + "\"\n");
  const DecodedPng by_file = drawn("a fox", {"--config", "inkstone.toml"});
  EXPECT_EQ(by_file.image.rgb, drawn("a fox", {"--lora", "loras/style.safetensors:0.7"}).image.rgb);
  const Outcome info =
      program_.run({"info", (kFixtures / "models" / "tiny-sd15").string(), "--lora", "loras/style.safetensors",
                    "--embedding", (kFixtures / "embeddings" / "mark.pt").string()});
  EXPECT_EQ(info.code, 0) << info.error;
  EXPECT_THAT(info.output, AllOf(HasSubstr("style"), HasSubstr("owned weights"), HasSubstr("mark")));
}

TEST_F(Adapted, an_embedding_is_drawn_by_its_name_and_stands_in_the_parameters) {
  const std::string folder = (kFixtures / "embeddings").string();
  const DecodedPng with = drawn("a (mark:1.2)", {"--embedding-dir", folder}), without = drawn("a (mark:1.2)", {});
  EXPECT_NE(with.image.rgb, without.image.rgb);
  EXPECT_EQ(drawn("a (mark:1.2)", {"--embedding", folder + "/mark.pt"}).image.rgb, with.image.rgb);
  EXPECT_EQ(
      drawn("(a:1) (embedding:mark:1.2)", {"--embedding", folder + "/mark.pt", "--prompt-syntax", "comfy"}).image.width,
      with.image.width);
  EXPECT_THAT(parameters(with), HasSubstr(", TI hashes: \"mark: "));
  EXPECT_THAT(parameters(without), Not(HasSubstr("TI hashes")));
  drawn("a xl", {"--embedding-dir", folder});
  EXPECT_THAT(said_, HasSubstr("the embedding xl, which the prompt names, is not used: xl.safetensors: made for"));
  fs::remove(program_.folder.path() / "x.png");
  expect_refusal("a", {"--embedding", folder + "/xl/xl.safetensors"}, "made for another model");
  expect_refusal("a", {"--embedding", folder + "/golden/golden.safetensors"}, "no textual inversion");
}

}  // namespace
}  // namespace inkstone
