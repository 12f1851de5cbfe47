#include "diffusion/prompt_syntax.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr size_t kMaxTag = 128;  // bytes that are shown

std::string first_network(std::string_view prompt) {
  size_t first = prompt.npos;
  for (const std::string_view kind : {"<lora:", "<lyco:", "<hypernet:"}) first = std::min(first, prompt.find(kind));
  if (first == prompt.npos) return "";
  const std::string_view rest = prompt.substr(first, kMaxTag);
  return clean_utf8(rest.substr(0, std::min(rest.find('>'), rest.size() - 1) + 1));
}

// Round brackets alone are also what people write.
bool has_weights(std::string_view prompt) {
  char open = 0;         // the bracket opened last
  bool marked = false;   // a colon or bar since then
  bool escaped = false;  // by a backslash
  char before = 0;
  for (const char c : prompt) {
    const bool plain = escaped;
    escaped = c == '\\' && !plain;
    if (plain || escaped) {
      before = 0;
      continue;
    }
    if (c == '(' || c == '[') {
      if (before == c) return true;
      open = c;
      marked = false;
    } else if (c == ':' || c == '|') {
      marked = true;
    } else if (c == ')' || c == ']') {
      if ((c == ')' && open == '(' && marked) || (c == ']' && open == '[')) return true;
      open = 0;
    }
    before = c;
  }
  return false;
}

}  // namespace

PromptSyntax prompt_syntax(std::string_view prompt) { return {has_weights(prompt), first_network(prompt)}; }

std::vector<std::string> prompt_warnings(std::string_view prompt, std::string_view negative_prompt) {
  std::vector<std::string> warnings;
  const PromptSyntax both[] = {prompt_syntax(prompt), prompt_syntax(negative_prompt)};
  if (both[0].weights || both[1].weights)
    warnings.emplace_back("weights and alternations in a prompt, as (word:1.3), [word] or [a|b], are plain text here");
  for (const PromptSyntax& one : both)
    if (!one.network.empty())
      warnings.push_back(text_of({one.network, " in a prompt is plain text here: extra networks are not loaded"}));
  return warnings;
}

}  // namespace inkstone
