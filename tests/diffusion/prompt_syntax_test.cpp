// Weights and tags of other programs are found, and ordinary brackets are not taken for them.
#include "diffusion/prompt_syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(PromptSyntax, weights_and_alternations_are_found) {
  for (const char* prompt : {"((x))", "(x:1.1)", "(a, b:0.5) c", "[teal]", "[a:b:0.3]", "[a|b]", "\\\\(x:1.1)"})
    EXPECT_TRUE(prompt_syntax(prompt).weights) << prompt;
  for (const char* prompt : {"a (small) fox", "time: noon", "):(", "", "a | b", "fox \\(animal: red\\)", "]x["})
    EXPECT_FALSE(prompt_syntax(prompt).weights) << prompt;
  EXPECT_TRUE(prompt_syntax(std::string(100000, '(')).weights);
}

TEST(PromptSyntax, tags_of_networks_are_found_whole) {
  EXPECT_EQ(prompt_syntax("a fox <lora:foo:0.8>, red").network, "<lora:foo:0.8>");
  EXPECT_EQ(prompt_syntax("<hypernet:x:1> <lora:y:1>").network, "<hypernet:x:1>");
  EXPECT_EQ(prompt_syntax("<lora:no end").network, "<lora:no end");
  EXPECT_EQ(prompt_syntax("a < b, c > d, lora:x").network, "");
  EXPECT_LE(prompt_syntax("<lora:" + std::string(100000, 'x')).network.size(), 128u);
}

TEST(PromptSyntax, both_prompts_are_warned_of_once) {
  EXPECT_THAT(prompt_warnings("a fox", "blurry"), IsEmpty());
  EXPECT_THAT(prompt_warnings("(a:1.2)", "(b:1.2)"), ElementsAre(HasSubstr("plain text")));
  EXPECT_THAT(prompt_warnings("(a:1.2) <lora:x:1>", ""), ElementsAre(HasSubstr("weights"), HasSubstr("<lora:x:1>")));
}

}  // namespace
}  // namespace inkstone
