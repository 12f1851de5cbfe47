// A prompt's tokens in chunks of the text encoder's length, and the arithmetic of weights on what the encoder makes of
// a chunk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "diffusion/embedding_table.h"
#include "diffusion/prompt_syntax.h"

namespace inkstone {

struct PromptChunk {
  std::vector<int32_t> ids;    // 77: start, text, end, padding
  std::vector<float> weights;  // of each token; 1 of start, end and padding
  // The place of the first end token, or of the first of the largest ids, by the encoder: what says the pooled text.
  int end = 0;
  bool weighted() const;  // some weight is not 1
};

struct PromptChunks {
  std::vector<PromptChunk> chunks;     // at least one
  std::string cut;                     // the end of a plain prompt that did not fit
  std::vector<size_t> embeddings{};    // whose words stand in it, by their numbers, in the order of the prompt
  std::vector<std::string> unknown{};  // of "embedding:NAME", names that no embedding has; they are left out
};

// Each chunk takes 75 tokens of text. A1111: where a chunk is full and its last comma is at most 20 tokens back, what
// follows the comma goes into the next chunk; BREAK ends a chunk. Comfy: words are tokenized one by one; one of fewer
// than 8 tokens is not cut. Plain: one chunk.
// Embeddings take a place for each of their vectors. Where they do not fit, they begin the next chunk, but comfy cuts
// those of 8 vectors or more like words, and plain like the rest. In comfy only "embedding:NAME" is one.
// Stops, with one chunk more than `max_chunks`, where the prompt has more.
PromptChunks prompt_chunks(const PromptText& text, const PromptReader& reader, size_t max_chunks);

// Each token's hidden state times its weight; then all of them times what brings their mean back to what it was (the
// web UI's emphasis "Original"). `hidden`: [77, width] of one chunk.
void weigh_as_a1111(std::span<float> hidden, std::span<const float> weights);
// Each token's hidden state away from that of the empty prompt at the same place, by its weight.
void weigh_as_comfy(std::span<float> hidden, std::span<const float> empty, std::span<const float> weights);

}  // namespace inkstone
