#include "adapters/tags.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "adapters/parts.h"
#include "base/error.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

TEST(AdapterTags, are_taken_out_of_a_prompt_with_their_strengths) {
  const TaggedPrompt prompt =
      take_tags("a fox <lora:one> b<lora:two:0.5>c <lyco:three:0.5:-0.25> <lora:four:te=2:unet=.5> <lora:five:unet=0>");
  EXPECT_EQ(prompt.text, "a fox  bc   ");
  const std::vector<AdapterTag> expected{
      {"one", 1, 1}, {"two", 0.5, 0.5}, {"three", 0.5, -0.25}, {"four", 2, 0.5}, {"five", 1, 0}};
  EXPECT_EQ(prompt.tags, expected);
}

TEST(AdapterTags, other_brackets_are_text) {
  for (const char* text : {"", "a < b > c", "<hypernet:x:1>", "<lora:", "a <lora:one"}) {
    EXPECT_EQ(take_tags(text).text, text);
    EXPECT_TRUE(take_tags(text).tags.empty());
  }
}

TEST(AdapterTags, a_tag_that_says_no_strength_is_refused) {
  for (const char* text : {"<lora:>", "<lora:a:>", "<lora:a:x>", "<lora:a:1:2:3>", "<lora:a:nan>", "<lora:a:1e9>",
                           "<lora:a:te=x>", "<lora:a:dyn=4>"})
    EXPECT_THROW(take_tags(text), UsageError) << text;
}

TEST(AdapterTags, are_written_as_they_are_read) {
  for (const AdapterTag& tag : {AdapterTag{"a", 1, 1}, AdapterTag{"a b", 0.3f, 0.3f}, AdapterTag{"x", -1.5f, 0.1f}})
    EXPECT_EQ(take_tags(tag_text(tag)).tags, std::vector{tag});
}

TEST(AdapterTags, a_file_on_the_command_line_may_have_colons) {
  EXPECT_EQ(parse_adapter("x.safetensors"), (AdapterUse{"x.safetensors", 1, 1}));
  EXPECT_EQ(parse_adapter("x.safetensors:0.5"), (AdapterUse{"x.safetensors", 0.5, 0.5}));
  EXPECT_EQ(parse_adapter("d:1/x.safetensors:0.5:-1"), (AdapterUse{"d:1/x.safetensors", 0.5, -1}));
  EXPECT_EQ(parse_adapter("a:b"), (AdapterUse{"a:b", 1, 1}));
  EXPECT_THROW(parse_adapter(":1"), UsageError);
  for (const AdapterUse& use : {AdapterUse{"a:b", 0.1f, 2}, AdapterUse{"c", -3, -3}})
    EXPECT_EQ(parse_adapter(adapter_text(use)), use);
}

TEST(AdapterTags, name_files_by_their_stems_and_never_paths) {
  const fs::path folder = fs::temp_directory_path() / ("inkstone_tags_" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder / "below");
  for (const char* name : {"one.safetensors", "below/two.v1.safetensors", "two.safetensors", "below/one.txt"})
    std::ofstream(folder / name) << "x";
  const std::vector<AdapterName> adapters = adapters_in(folder);
  ASSERT_EQ(adapters.size(), 3u);
  EXPECT_EQ(adapters[0].name, "one") << "they come by name";
  EXPECT_EQ(find_adapter(adapters, "one", "here").path, folder / "one.safetensors");
  EXPECT_EQ(find_adapter(adapters, "two.v1", "here").path, folder / "below/two.v1.safetensors");
  for (const char* name : {"three", "../one", "below/two.v1", "..", ".", "one.safetensors"})
    EXPECT_THROW(find_adapter(adapters, name, "here"), UsageError) << name;
  std::ofstream(folder / "below" / "one.safetensors") << "x";
  std::ofstream(folder / "two.safetensors") << "another";
  const std::vector<AdapterName> later = adapters_in(folder);
  EXPECT_THROW(find_adapter(later, "one", "here"), UsageError) << "two of the name";
  EXPECT_NE(find_adapter(later, "two", "here").state, find_adapter(adapters, "two", "here").state);
  EXPECT_THROW(adapters_in(folder / "absent"), UsageError);
  fs::remove_all(folder);
}

TEST(AdapterParts, are_told_by_the_longest_end_of_a_name) {
  const auto is = [](const char* key, const char* stem, Part part) {
    const auto name = part_name(key);
    return name && name->stem == stem && name->part == part;
  };
  EXPECT_TRUE(is("lora_unet_a_to_q.lora_down.weight", "lora_unet_a_to_q", Part::kDown));
  EXPECT_TRUE(is("unet.a.to_q.lora_A.weight", "unet.a.to_q", Part::kDown));
  EXPECT_TRUE(is("unet.a.to_q.lora_B.default.weight", "unet.a.to_q", Part::kUp));
  EXPECT_TRUE(is("a.lora_magnitude_vector", "a", Part::kMagnitude));
  EXPECT_TRUE(is("a.lora_magnitude_vector.default", "a", Part::kMagnitude));
  EXPECT_TRUE(is("a.lora_magnitude_vector.default.weight", "a", Part::kMagnitude));
  EXPECT_TRUE(is("a.processor.to_q_lora.up.weight", "a.processor.to_q_lora", Part::kUp));
  EXPECT_TRUE(is("a.lora.up.weight", "a", Part::kUp));
  EXPECT_TRUE(is("a.lora_linear_layer.down.weight", "a", Part::kDown));
  EXPECT_TRUE(is("a.weight", "a", Part::kIa3));
  EXPECT_FALSE(part_name("a.lora_left.weights"));
  EXPECT_FALSE(part_name(".alpha"));
  EXPECT_STREQ(part_name("a.oft_blocks")->kind, "OFT or BOFT");
}

}  // namespace
}  // namespace inkstone
