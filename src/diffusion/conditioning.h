// The inputs that condition the U-Net, and what each depends on. Values made of an input are cached
// by exactly that: requests with the same prompt share cross-attention keys and values, requests at
// the same timestep share embeddings.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace inkstone {

enum class DependsOn {
  kPrompt,  // a prompt, positive or negative
  // A timestep of a schedule; if the model was distilled with guidance, also the guidance scale.
  kTimestep,
  // a prompt and the image's size: SDXL's added conditioning
  kRequest,
};

struct ConditioningInput {  // of the U-Net's graph
  const char* name;
  DependsOn depends;
};
inline constexpr ConditioningInput kConditioning[] = {
    {"text", DependsOn::kPrompt},
    {"timestep", DependsOn::kTimestep},
    {"guidance", DependsOn::kTimestep},
    {"added", DependsOn::kRequest},
};

struct NamedTensor {
  std::string name;  // of the U-Net's input
  Tensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

}  // namespace inkstone
