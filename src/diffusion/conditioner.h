// Runs the stages before the steps: a prompt becomes text, text becomes keys and values, a timestep
// becomes embeddings. Each result is cached by exactly what it depends on (conditioning.h).
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "diffusion/conditioning.h"
#include "diffusion/lru_cache.h"
#include "diffusion/program_cache.h"

namespace inkstone {

struct EncodedText {  // on the host
  Tensor text;        // [1, 77, context]: the text encoders' side by side
  Tensor pooled;      // [1, projection] of the last encoder; empty where the model reads none
  // the end of the prompt that did not fit
  std::string cut;
};

// A prompt; null stands for none at all, which some models' negative half is: its text is zeros.
using PromptRef = const std::string*;

class Conditioner {
 public:
  Conditioner(const Pipeline& pipeline, Backend& backend, ProgramCache& programs);

  const EncodedText& text_of(PromptRef prompt);
  // Of every tensor one row for each prompt, the negative one first: the cross_kv, and what is added for an image of
  // that size in pixels.
  NamedTensors of_prompts(const std::vector<PromptRef>& prompts, int width, int height);
  // Tensors [1, c]. `guidance_scale` matters only if the model was distilled with it.
  const NamedTensors& time_embeddings(float timestep, float guidance_scale);
  void forget();  // all results, when the plan changes

 private:
  // Null if nothing in the step depends on this alone.
  const PipelineStage* stage_of(DependsOn depends);
  EncodedText encode(const std::string& prompt);
  EncodedText zeros() const;
  Tensor on_host(const Tensor& made) const;
  const NamedTensors& cross_kv_of(PromptRef prompt);
  const NamedTensors& added_of(PromptRef prompt, int width, int height);
  NamedTensors named(const PipelineStage& stage, std::vector<Tensor> tensors) const;

  const Pipeline& pipeline_;
  Backend& backend_;
  ProgramCache& programs_;
  using PromptKey = std::optional<std::string>;
  LruCache<PromptKey, EncodedText> texts_;
  LruCache<PromptKey, NamedTensors> cross_kv_;
  LruCache<std::tuple<PromptKey, int, int>, NamedTensors> added_;    // by prompt and size
  LruCache<std::pair<float, float>, NamedTensors> time_embeddings_;  // by timestep and guidance (if distilled)
};

void check_finite(std::span<const float> values, const char* what);  // Error of kind kNotFinite
std::string not_finite(const std::string& what);                     // its text

}  // namespace inkstone
