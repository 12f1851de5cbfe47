// What brackets and some words mean in a prompt, by the program that they are written for. A prompt without any is the
// same in all of them, as far as it fits into one chunk of tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diffusion/prompt_weights.h"

namespace inkstone {

enum class PromptSyntax {
  kA1111,  // AUTOMATIC1111's web UI: weights, editing, BREAK
  kComfy,  // ComfyUI: weights
  kPlain,  // all is text, as in diffusers; what is beyond the model's tokens is cut
};
std::vector<std::string> prompt_syntax_names();  // in the order above
std::string name_of(PromptSyntax syntax);
PromptSyntax prompt_syntax(std::string_view name);  // Error for a name that is none

// A prompt at some steps.
struct PromptText {
  PromptSyntax syntax = PromptSyntax::kPlain;
  PromptPieces pieces;
  auto operator<=>(const PromptText&) const = default;
};

struct PromptSchedule {
  std::vector<PromptText> texts;  // distinct, in the order in which they come up
  std::vector<int> of_step;       // of each step the index in `texts`
};

// So many different texts may come up in one prompt.
inline constexpr size_t kMaxPromptTexts = 12;

// AND is a word in it, as in the web UI's negative prompts. Throws UsageError for a prompt that cannot be: one line,
// without the field's name.
PromptSchedule prompt_schedule(std::string_view prompt, PromptSyntax syntax, int steps);

struct WeightedSchedule {
  PromptSchedule schedule;
  float weight = 1;  // ComposedPrompt's
};
// A schedule for each part of a composed prompt, in the web UI's syntax; one in others. Throws as prompt_schedule(), and
// where more than kMaxPromptTexts come up in all parts together.
std::vector<WeightedSchedule> composed_schedules(std::string_view prompt, PromptSyntax syntax, int steps);

// The first tag of an extra network in a prompt, "<lora:foo:0.8>"; "": there is none.
std::string extra_network_tag(std::string_view prompt);

// What to tell whoever asks for an image of these two.
std::vector<std::string> prompt_warnings(std::string_view prompt, std::string_view negative_prompt);

}  // namespace inkstone
