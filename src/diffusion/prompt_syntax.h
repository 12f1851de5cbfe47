// What other programs read in a prompt, and what is plain text here: weights, alternations, tags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct PromptSyntax {
  bool weights = false;  // (a fox:1.3), ((fox)), [fox], [a|b], [a:b:0.3]
  std::string network;   // the first tag of an extra network, "<lora:foo:0.8>"; "": there is none
};
PromptSyntax prompt_syntax(std::string_view prompt);  // in one pass

// What to tell whoever asks for an image of these two.
std::vector<std::string> prompt_warnings(std::string_view prompt, std::string_view negative_prompt);

}  // namespace inkstone
