// Runs the stages before the steps: a prompt becomes text, text becomes keys and values, a timestep
// becomes embeddings. Each result is cached by exactly what it depends on (conditioning.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "diffusion/conditioning.h"
#include "diffusion/lru_cache.h"
#include "diffusion/program_cache.h"

namespace inkstone {

struct EncodedText {
  Tensor embedding;  // [1, 77, context]
  // the end of the prompt that did not fit
  std::string cut;
};

class Conditioner {
 public:
  Conditioner(const Pipeline& pipeline, Backend& backend, ProgramCache& programs);

  const EncodedText& text_of(const std::string& prompt);
  // A job's cross_kv: of every tensor one row for each prompt, the negative one first.
  NamedTensors cross_kv_of(const std::vector<const std::string*>& prompts);
  // Tensors [1, c]. `guidance_scale` matters only if the model was distilled with it.
  const NamedTensors& time_embeddings(float timestep, float guidance_scale);
  void forget();  // all results, when the plan changes

 private:
  // Null if nothing in the step depends on this alone.
  const PipelineStage* stage_of(DependsOn depends);
  const NamedTensors& of_prompt(const std::string& prompt);
  NamedTensors named(const PipelineStage& stage, std::vector<Tensor> tensors) const;

  const Pipeline& pipeline_;
  Backend& backend_;
  ProgramCache& programs_;
  LruCache<std::string, EncodedText> texts_;                         // by prompt
  LruCache<std::string, NamedTensors> of_prompt_;                    // by prompt
  LruCache<std::pair<float, float>, NamedTensors> time_embeddings_;  // by timestep and guidance (if distilled)
};

void check_finite(std::span<const float> values, const char* what);  // Error of kind kNotFinite
std::string not_finite(const std::string& what);                     // its text

}  // namespace inkstone
