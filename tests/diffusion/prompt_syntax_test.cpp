// What brackets mean in prompts, as tables: the web UI's own examples and more, and what a hostile prompt costs.
#include "diffusion/prompt_syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "diffusion/prompt_composition.h"
#include "diffusion/prompt_editing.h"
#include "diffusion/prompt_words.h"

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Texts = std::vector<std::string>;

// "text*weight|...", BREAK as /.
std::string shown_pieces(const PromptPieces& pieces) {
  std::string all;
  for (const PromptPiece& piece : pieces) {
    if (!all.empty()) all += '|';
    char weight[32];
    std::snprintf(weight, sizeof weight, "*%.4g", piece.weight);
    all += piece.ends_chunk ? "/" : piece.text + (piece.weight == 1 ? "" : weight);
  }
  return all;
}

struct Row {
  const char *prompt, *pieces;
};

TEST(PromptWeights, brackets_mean_what_they_mean_in_the_web_ui) {
  for (const auto& [prompt, pieces] : std::vector<Row>{
           {"", ""},
           {"normal text", "normal text"},
           {"an (important) word", "an |important*1.1| word"},
           {"(unbalanced", "unbalanced*1.1"},
           {"[unbalanced", "unbalanced*0.9091"},
           {"\\(literal\\]", "(literal]"},
           {"a\\\\(b)", "a\\|b*1.1"},
           {"a \\word", "a word"},
           {"(unnecessary)(parens)", "unnecessaryparens*1.1"},
           {"a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            "a |house*1.573| *1.1|on| a *1.1|hill*0.55|, sun, *1.1|sky*1.464|.*1.1"},
           {"(a:1.3)", "a*1.3"},
           {"(a: 1.3 )", "a*1.3"},
           {"(a:+1.3)(b:-.5)", "a*1.3|b*-0.5"},
           {"(a:1.2.3)", "a:1.2.3*1.1"},
           {"(a:.)", "a:.*1.1"},
           {"a:1.3) b", "a:1.3) b"},
           {"[a:1.3]", "a:1.3*0.9091"},
           {"(a:b:1.2)", "a:b*1.2"},
           {"a) b]", "a) b]"},
           {"(a [b) c]", "a *1.1|b| c*0.9091"},
           {"((a:2) b:0.5)", "a| b*0.5"},
           {"()", ""},
           {"a BREAK b", "a|/|b"},
           {"BREAK a", "/|a"},
           {"a BREAK BREAK b", "a|/|/|b"},
           {"(a BREAK b:1.2)", "a*1.2|/|b*1.2"},
           {"BREAKFAST, UNBREAK, BREAK_2", "BREAKFAST, UNBREAK, BREAK_2"},
           {"\u732b\uff0cBREAK\uff0c\u72d0", "\u732b\uff0c|/|\uff0c\u72d0"},
           {"\u732bBREAK", "\u732bBREAK"},
       })
    EXPECT_EQ(shown_pieces(a1111_pieces(prompt)), pieces) << prompt;
}

TEST(PromptWeights, brackets_mean_what_they_mean_in_comfy) {
  for (const auto& [prompt, pieces] : std::vector<Row>{
           {"", ""},
           {"a [fox] BREAK", "a [fox] BREAK"},
           {"a (fox) b", "a |fox*1.1| b"},
           {"((fox))", "fox*1.21"},
           {"(a (b:0.5) c:1.4)", "a *1.4|b*0.5| c*1.4"},
           {"(a (b) c:2)", "a *2|b*2.2| c*2"},
           {"(a:b:1.2)", "a:b*1.2"},
           {"(a:x)", "a:x*1.1"},
           {"(a: 1.2 )", "a*1.2"},
           {"(:1.2)", ":1.2*1.1"},
           {"\\(a\\) (b\\))", "(a) |b)*1.1"},
           {"(open", "(open"},
           {"a) (b:1.2)", "a) (b:1.2)"},
       })
    EXPECT_EQ(shown_pieces(comfy_pieces(prompt)), pieces) << prompt;
}

// What holds in ten steps: "text*steps".
std::string shown_steps(const EditedPrompt& edited) {
  std::string all;
  for (size_t step = 0, from = 0; step < edited.of_step.size(); ++step) {
    if (step + 1 < edited.of_step.size() && edited.of_step[step + 1] == edited.of_step[step]) continue;
    if (!all.empty()) all += " / ";
    all += edited.texts[static_cast<size_t>(edited.of_step[step])] + "*" + std::to_string(step + 1 - from);
    from = step + 1;
  }
  return all;
}

TEST(PromptEditing, texts_change_at_their_steps) {
  for (const auto& [prompt, steps] : std::vector<Row>{
           {"test", "test*10"},
           {"a [b:3]", "a *3 / a b*7"},
           {"a [b: 3]", "a *3 / a b*7"},
           {"a [b:3 ]", "a *3 / a b*7"},
           {"a [[[b]]:2]", "a *2 / a [[b]]*8"},
           {"[(a:2):3]", "*3 / (a:2)*7"},
           {"a [b : c : 1] d", "a b  d*1 / a  c  d*9"},
           {"a[b:[c:d:2]:1]e", "abe*1 / ace*1 / ade*8"},
           {"a [unbalanced", "a [unbalanced*10"},
           {"a [b:.5] c", "a  c*5 / a b c*5"},
           {"a [b::0.25] c", "a b c*2 / a  c*8"},
           {"[a:b:1.0]", "a*10"},
           {"[a:b:1]", "a*1 / b*9"},
           {"[a:b:0]", "b*10"},
           {"[a:b:-3]", "b*10"},
           {"[a:b:99]", "a*10"},
           {"[a:b:1e-1]", "b*10"},
           {"[a:b:0.29]", "a*2 / b*8"},
           {"((a][:b:c [d:3]", "((a][:b:c *3 / ((a][:b:c d*7"},
           {"[a:b:c:3] [d:2]", "[a:b:c:3] *2 / [a:b:c:3] d*8"},
           {"[a:b]", "[a:b]*10"},
           {"[a:(3)]", "[a:(3)]*10"},
           {"(x [a:b:4]:1.2)", "(x a:1.2)*4 / (x b:1.2)*6"},
           {"\\[a:b:4]", "\\[a:b:4]*10"},
           {"[a\\:b:4]", "*4 / a\\:b*6"},
           {"a | [b:3]", "a | [b:3]*10"},
           {"(a|b) [c:3]", "(a|b) [c:3]*10"},
           {"[a|b:3] [c:3]", "[a|b:3] [c:3]*10"},
           {"[b:3] \\", "[b:3] \\*10"},
       })
    EXPECT_EQ(shown_steps(edited_prompt(prompt, 10, 16)), steps) << prompt;
}

TEST(PromptEditing, alternatives_take_turns) {
  const EditedPrompt two = edited_prompt("[a|(b:1.1)]", 10, 16);
  EXPECT_THAT(two.texts, ElementsAre("a", "(b:1.1)"));
  EXPECT_THAT(two.of_step, ElementsAre(0, 1, 0, 1, 0, 1, 0, 1, 0, 1));
  EXPECT_THAT(edited_prompt("[fe|]male", 3, 16).texts, ElementsAre("female", "male"));
  EXPECT_THAT(edited_prompt("[fe|||]male", 6, 16).of_step, ElementsAre(0, 1, 1, 1, 0, 1));
  EXPECT_THAT(edited_prompt("[x|[a:b:3]|[c|d]]", 6, 16).texts, ElementsAre("x", "a", "c", "b", "d"));
  EXPECT_THAT(edited_prompt("[a|b][c|d|e]", 12, 16).texts, ElementsAre("ac", "bd", "ae", "bc", "ad", "be"));
}

std::string refusal(const std::string& prompt, PromptSyntax syntax = PromptSyntax::kA1111, int steps = 10) {
  try {
    prompt_schedule(prompt, syntax, steps);
    return "";
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(PromptSchedule, what_cannot_be_is_said_in_a_line) {
  EXPECT_THAT(refusal("[a|b|c|d|e][1|2|3|4]", PromptSyntax::kA1111, 20), HasSubstr("more than 12 different ones"));
  EXPECT_EQ(refusal("[a|b|c|d|e][1|2|3|4]", PromptSyntax::kA1111, 12), "");
  EXPECT_EQ(refusal("[a|b|c|d|e][1|2|3|4]", PromptSyntax::kComfy, 20), "");
  EXPECT_THAT(refusal("(a:1001)"), HasSubstr("the weight of \"a\""));
  EXPECT_THAT(refusal("(a:" + std::string(400, '9') + ")"), HasSubstr(""));
  for (const PromptSyntax syntax : {PromptSyntax::kA1111, PromptSyntax::kComfy})
    EXPECT_THAT(refusal(std::string(101, '(') + "a" + std::string(101, ')'), syntax), HasSubstr("100 brackets"));
  EXPECT_EQ(refusal(std::string(101, '('), PromptSyntax::kPlain), "");
}

TEST(PromptSchedule, a_prompt_without_signs_is_one_text_in_every_syntax) {
  for (const std::string& name : prompt_syntax_names()) {
    const PromptSchedule schedule = prompt_schedule("a red fox, 2 bees: it's", prompt_syntax(name), 7);
    ASSERT_EQ(schedule.texts.size(), 1u);
    EXPECT_EQ(shown_pieces(schedule.texts[0].pieces), "a red fox, 2 bees: it's");
    EXPECT_EQ(schedule.of_step, std::vector<int>(7, 0));
    EXPECT_EQ(name_of(prompt_syntax(name)), name);
  }
}

// "text*weight" of each part.
std::vector<std::string> parts(const std::string& prompt) {
  std::vector<std::string> shown;
  for (const ComposedPrompt& part : composed_prompts(prompt, kMaxPromptTexts))
    shown.push_back(std::string(part.text) + "*" + std::to_string(part.weight).substr(0, 4));
  return shown;
}

TEST(PromptComposition, AND_makes_parts_that_may_have_weights) {
  EXPECT_THAT(parts("a cat AND a dog"), ElementsAre("a cat *1.00", " a dog*1.00"));
  EXPECT_THAT(parts("a cat :1.2 AND a dog:-.5  AND  x : 2."), ElementsAre("a cat*1.20", " a dog*-0.5", "  x*2.00"));
  EXPECT_THAT(parts("a :b AND c:1.2d AND (e:1.3)"), ElementsAre("a :b *1.00", " c:1.2d *1.00", " (e:1.3)*1.00"));
  EXPECT_THAT(parts("AND"), ElementsAre("*1.00", "*1.00"));
  EXPECT_THAT(parts("BRAND, LAND, SAND and AND_PERP"), ElementsAre("BRAND, LAND, SAND and AND_PERP*1.00"));
  EXPECT_THAT(parts("a photo, 4:3"), ElementsAre("a photo, 4:3*1.00"));  // no weight where there is no AND
}

TEST(PromptComposition, has_limits_and_is_the_web_uis_alone) {
  const auto refused = [](const std::string& prompt) -> std::string {
    try {
      composed_schedules(prompt, PromptSyntax::kA1111, 20);
      return "";
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  std::string twelve = "a";
  for (int i = 1; i < 12; ++i) twelve += " AND b" + std::to_string(i);
  EXPECT_EQ(refused(twelve), "");
  EXPECT_THAT(refused(twelve + " AND c"), HasSubstr("AND composes more than 12 prompts"));
  EXPECT_THAT(refused("[a|b|c|d|e|f|g] AND [a|b|c|d|e|f|g]"), HasSubstr("change into more than 12 different ones"));
  EXPECT_THAT(refused("a AND b:1001"), HasSubstr("the weight of \" b\" is beyond 1000"));
  for (const PromptSyntax syntax : {PromptSyntax::kComfy, PromptSyntax::kPlain})
    EXPECT_EQ(composed_schedules("a AND b", syntax, 3).size(), 1u);
  EXPECT_EQ(prompt_schedule("a AND b", PromptSyntax::kA1111, 3).texts.size(), 1u);  // of a negative prompt
}

// Each would take hours if its time were not linear.
TEST(PromptSchedule, a_hostile_prompt_costs_its_length) {
  std::string many;
  for (const char* piece : {"(a)", "[b", "]:", "[x:y:0.5]", "(:1.2)", "[[", "]]", "((", "))", ":3]", "a:b", "BREAK "}) {
    many.clear();
    while (many.size() < 1'000'000) many += piece;
    refusal(many);
    refusal(many, PromptSyntax::kComfy);
  }
  SUCCEED();
}

TEST(PromptSyntax, tags_of_networks_are_found_whole) {
  EXPECT_EQ(extra_network_tag("a fox <lora:foo:0.8>, red"), "<lora:foo:0.8>");
  EXPECT_EQ(extra_network_tag("<hypernet:x:1> <lora:y:1>"), "<hypernet:x:1>");
  EXPECT_EQ(extra_network_tag("<lora:no end"), "<lora:no end");
  EXPECT_EQ(extra_network_tag("a < b, c > d, lora:x"), "");
  EXPECT_LE(extra_network_tag("<lora:" + std::string(100000, 'x')).size(), 128u);
}

TEST(PromptSyntax, tags_alone_are_warned_of) {
  EXPECT_THAT(prompt_warnings("(a:1.2) fox", "[blurry]"), IsEmpty());
  EXPECT_THAT(prompt_warnings("(a:1.2) <lora:x:1>", ""), ElementsAre(HasSubstr("<lora:x:1>")));
}

}  // namespace
}  // namespace inkstone
