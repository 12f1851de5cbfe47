// Runs the stages before the steps: a prompt becomes text, text becomes keys and values, a timestep
// becomes embeddings. Each result is cached by exactly what it depends on (conditioning.h).
#pragma once

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "diffusion/conditioning.h"
#include "diffusion/job_prompts.h"
#include "diffusion/lru_cache.h"
#include "diffusion/program_cache.h"
#include "diffusion/prompt_chunks.h"

namespace inkstone {

struct EncodedText {  // on the host
  Tensor text;        // [1, 77 chunks, context]: the text encoders' side by side, weighted
  Tensor pooled;      // [1, projection] of the last encoder and the first chunk; empty where the model reads none
};

using EncoderTextRef = const EncoderText*;

class Conditioner {
 public:
  Conditioner(const Pipeline& pipeline, Backend& backend, ProgramCache& programs);

  const EncodedText& text_of(const EncoderText& text);
  // Of every tensor one row for each text, the negative one first: the cross_kv of so many chunks, and what is added
  // for an image of that size in pixels.
  struct ForImage {
    int chunks = 1, width = 0, height = 0;
    int control = -1;  // what a ControlNet's copy makes of the texts; -1: what the U-Net does
  };
  NamedTensors of_texts(const std::vector<EncoderTextRef>& texts, const ForImage& image);
  // Tensors [1, c]. `guidance_scale` matters only if the model was distilled with it.
  const NamedTensors& time_embeddings(float timestep, float guidance_scale, int control = -1);
  Tensor on_host(const Tensor& made) const;  // a copy
  void forget();                             // all results, when the plan changes

 private:
  struct Kept {                                                                  // of the U-Net, or of one ControlNet
    LruCache<std::pair<EncoderText, int>, NamedTensors> cross_kv{kPromptsKept};  // by text and chunks
    LruCache<std::tuple<EncoderText, int, int>, NamedTensors> added{kPromptsKept};  // by text and size
    // By timestep and guidance (if distilled).
    LruCache<std::pair<float, float>, NamedTensors> time_embeddings{kTimestepsKept};
  };
  Kept& kept(int control) { return kept_.at(static_cast<size_t>(control + 1)); }
  // Null if nothing in the step depends on this alone.
  const PipelineStage* stage_of(DependsOn depends, int control);
  EncodedText encode(const EncoderText& text);
  Tensor encode_chunk(const TextEncoder& encoder, const EncoderText& text, const PromptChunk& chunk, Tensor* pooled);
  void fill_vectors(const TextEncoder& encoder, std::span<const int32_t> ids, std::span<float> to) const;
  EncodedText zeros(int64_t chunks) const;
  const NamedTensors& cross_kv_of(const EncoderText& text, const ForImage& image);
  Tensor chunk_of(const EncoderText& text, int64_t chunk);  // [1, 77, context]; the empty prompt's beyond its own
  const NamedTensors& added_of(const EncoderText& text, const ForImage& image);
  NamedTensors named(const PipelineStage& stage, std::vector<Tensor> tensors) const;

  const Pipeline& pipeline_;
  Backend& backend_;
  ProgramCache& programs_;
  LruCache<EncoderText, EncodedText> texts_;
  std::vector<Kept> kept_;  // of the U-Net, then of each of the pipeline's controls
};

void check_finite(std::span<const float> values, const char* what);  // Error of kind kNotFinite
std::string not_finite(const std::string& what);                     // its text

}  // namespace inkstone
