// Prompts that are composed, as in AUTOMATIC1111's web UI: "a cat AND a dog :0.8 AND snow :1.1".
#pragma once

#include <string_view>
#include <vector>

namespace inkstone {

struct ComposedPrompt {
  std::string_view text;
  // How strongly it counts: unconditional + the sum of weight * guidance * (its own - unconditional).
  float weight = 1;
};

// A prompt without the word AND is one part, whose weight is 1. Throws UsageError for more than `most` parts, or a weight
// beyond +-kMaxWeight.
std::vector<ComposedPrompt> composed_prompts(std::string_view prompt, size_t most);

}  // namespace inkstone
