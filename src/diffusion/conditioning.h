// What conditions the U-Net, as named tensors, and what each depends on. A tensor is cached by exactly that: two requests
// with one prompt share its cross-attention keys and values, two requests at one timestep share its embeddings.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace inkstone {

enum class DependsOn {
  kPrompt,    // a prompt, positive or negative
  kTimestep,  // a timestep of a schedule, and the guidance scale of a model that was distilled with it
  kRequest,   // all that a request says besides: sizes, pooled prompts
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
  std::string name;  // of the U-Net's input that it is for
  Tensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

}  // namespace inkstone
