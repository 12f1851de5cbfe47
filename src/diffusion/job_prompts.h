// What the text encoders read for a request: the texts of its prompts, and when each of them holds.
#pragma once

#include <string>
#include <vector>

#include "diffusion/pipeline.h"
#include "diffusion/resolved_request.h"

namespace inkstone {

// All that encoded text depends on.
struct EncoderText {
  PromptText text;
  int clip_skip = 1;
  bool none = false;  // no text at all, which some models' negative half is: zeros
  // How good to look at an image of it is, from 1 to 10, where the model is told.
  float score = 0;
  auto operator<=>(const EncoderText&) const = default;
};

struct JobPrompts {
  std::vector<EncoderText> texts;  // distinct
  // Of each U-Net evaluation the rows' texts, by their index: the negative prompt's, then those of the prompt's parts.
  std::vector<std::vector<size_t>> of_call;
  int chunks = 1;                     // of each row; a shorter text is filled up with the empty prompt's
  std::vector<size_t> embeddings;     // whose words stand in the texts, by Pipeline's numbers
  std::vector<std::string> warnings;  // of a plain prompt that was cut, of embeddings that are not there
};

// Without a server's own limit. A longer prompt is a mistake.
inline constexpr int kMaxPromptChunks = 32;

// Throws RequestError for a prompt of more than `max_chunks`.
JobPrompts job_prompts(const ResolvedRequest& request, const Pipeline& pipeline, int max_chunks);

}  // namespace inkstone
