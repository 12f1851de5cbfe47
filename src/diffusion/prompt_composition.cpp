#include "diffusion/prompt_composition.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "diffusion/prompt_weights.h"
#include "diffusion/prompt_words.h"

namespace inkstone {
namespace {

constexpr std::string_view kAnd = "AND";

// The web UI's "^(.*?)(\s*:\s*([-+]?(\d+\.?|\d*\.\d+)))?\s*$".
ComposedPrompt part_of(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return {text};
  const std::string_view number = trimmed(text.substr(colon + 1));
  if (number.find_first_not_of("+-.0123456789") != number.npos) return {text};
  const std::optional<double> weight = signed_number(number);
  if (!weight) return {text};
  std::string_view before = text.substr(0, colon);
  while (!before.empty() && is_gap(before.back())) before.remove_suffix(1);
  INKSTONE_CHECK_USAGE(std::abs(*weight) <= kMaxWeight, "the weight of \"", shown(before.substr(0, 60)),
                       "\" is beyond ", kMaxWeight, " or -", kMaxWeight);
  return {before, static_cast<float>(*weight)};
}

}  // namespace

std::vector<ComposedPrompt> composed_prompts(std::string_view prompt, size_t most) {
  if (find_word(prompt, kAnd) == prompt.npos) return {{prompt}};
  std::vector<ComposedPrompt> parts;
  for (size_t from = 0;;) {
    const size_t at = find_word(prompt, kAnd, from);
    INKSTONE_CHECK_USAGE(parts.size() < most, "AND composes more than ", most, " prompts: fewer are needed");
    parts.push_back(part_of(prompt.substr(from, at == prompt.npos ? at : at - from)));
    if (at == prompt.npos) return parts;
    from = at + kAnd.size();
  }
}

}  // namespace inkstone
