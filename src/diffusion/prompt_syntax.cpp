#include "diffusion/prompt_syntax.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "diffusion/prompt_composition.h"
#include "diffusion/prompt_editing.h"

namespace inkstone {
namespace {

constexpr size_t kMaxTag = 128;  // bytes that are shown
constexpr const char* kSyntaxes[] = {"a1111", "comfy", "plain"};

PromptPieces pieces_of(std::string_view text, PromptSyntax syntax) {
  switch (syntax) {
    case PromptSyntax::kA1111: return a1111_pieces(text);
    case PromptSyntax::kComfy: return comfy_pieces(text);
    case PromptSyntax::kPlain: break;
  }
  return {{std::string(text)}};
}

}  // namespace

std::vector<std::string> prompt_syntax_names() { return {std::begin(kSyntaxes), std::end(kSyntaxes)}; }

std::string name_of(PromptSyntax syntax) { return kSyntaxes[static_cast<size_t>(syntax)]; }

PromptSyntax prompt_syntax(std::string_view name) {
  const auto found = std::ranges::find(kSyntaxes, name);
  INKSTONE_CHECK(found != std::end(kSyntaxes), "no prompt syntax is called ", name);
  return static_cast<PromptSyntax>(found - std::begin(kSyntaxes));
}

PromptSchedule prompt_schedule(std::string_view prompt, PromptSyntax syntax, int steps) {
  PromptSchedule schedule;
  const bool edits = syntax == PromptSyntax::kA1111;
  const EditedPrompt edited = edits ? edited_prompt(prompt, steps, kMaxPromptTexts)
                                    : EditedPrompt{{std::string(prompt)}, std::vector<int>(static_cast<size_t>(steps))};
  schedule.of_step = edited.of_step;
  for (const std::string& text : edited.texts) schedule.texts.push_back({syntax, pieces_of(text, syntax)});
  return schedule;
}

std::vector<WeightedSchedule> composed_schedules(std::string_view prompt, PromptSyntax syntax, int steps) {
  std::vector<WeightedSchedule> schedules;
  if (syntax != PromptSyntax::kA1111) return {{prompt_schedule(prompt, syntax, steps)}};
  size_t texts = 0;
  for (const ComposedPrompt& part : composed_prompts(prompt, kMaxPromptTexts)) {
    schedules.push_back({prompt_schedule(part.text, syntax, steps), part.weight});
    texts += schedules.back().schedule.texts.size();
    INKSTONE_CHECK_USAGE(texts <= kMaxPromptTexts, "the prompts that AND composes change into more than ",
                         kMaxPromptTexts, " different ones: fewer [a|b], [a:b:N] or AND are needed");
  }
  return schedules;
}

std::string extra_network_tag(std::string_view prompt) {
  size_t first = prompt.npos;
  for (const std::string_view kind : {"<lora:", "<lyco:", "<hypernet:"}) first = std::min(first, prompt.find(kind));
  if (first == prompt.npos) return "";
  const std::string_view rest = prompt.substr(first, kMaxTag);
  return clean_utf8(rest.substr(0, std::min(rest.find('>'), rest.size() - 1) + 1));
}

std::vector<std::string> prompt_warnings(std::string_view prompt, std::string_view negative_prompt) {
  std::vector<std::string> warnings;
  for (const std::string_view text : {prompt, negative_prompt})
    if (const std::string tag = extra_network_tag(text); !tag.empty())
      warnings.push_back(text_of({tag, " in a prompt is plain text here: extra networks are not loaded"}));
  return warnings;
}

}  // namespace inkstone
