// What runs before the steps: prompts become text, text becomes keys and values, timesteps become embeddings. Each result
// is cached by exactly what it depends on (conditioning.h).
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
  std::string cut;   // of the prompt: what was too long
};

class Conditioner {
 public:
  Conditioner(const Pipeline& pipeline, Backend& backend, ProgramCache& programs);

  const EncodedText& text_of(const std::string& prompt);
  // The rows of a job: for each prompt (the negative one first) its row of every tensor that prompts decide.
  NamedTensors cross_kv_of(const std::vector<const std::string*>& prompts);
  // [1, c] each. `guidance_scale` counts where the model was distilled with it.
  const NamedTensors& time_embeddings(float timestep, float guidance_scale);
  void forget();  // all results: another plan is in force

 private:
  const PipelineStage* stage_of(DependsOn depends);  // null where nothing of the step depends on that alone
  const NamedTensors& of_prompt(const std::string& prompt);
  NamedTensors named(const PipelineStage& stage, std::vector<Tensor> tensors) const;

  const Pipeline& pipeline_;
  Backend& backend_;
  ProgramCache& programs_;
  LruCache<std::string, EncodedText> texts_;                         // by prompt
  LruCache<std::string, NamedTensors> of_prompt_;                    // by prompt
  LruCache<std::pair<float, float>, NamedTensors> time_embeddings_;  // by timestep and, where distilled, guidance
};

void check_finite(std::span<const float> values, const char* what);  // Error of kind kNotFinite
std::string not_finite(const std::string& what);                     // its text

}  // namespace inkstone
