// The U-Net as several graphs, so that a step computes only what depends on the step
// (compile/hoist.h).
#pragma once

#include <string>
#include <vector>

#include "diffusion/conditioning.h"
#include "models/controlnet.h"
#include "models/unet.h"

namespace inkstone {

// a graph that runs before the steps
struct ConditioningPart {
  std::string name;  // "prompt", "time", "added"
  DependsOn depends = DependsOn::kPrompt;
  // Inputs: those of kConditioning that depend on `depends`, with one row.
  Graph graph;
  // The outputs, by the names of the step's inputs; none if nothing is hoisted.
  std::vector<std::string> values;
};

struct UnetParts {
  // prompt: text [1, tokens, context] -> the keys and values of each cross-attention, [1, tokens,
  // c]. time: timestep [1] (and guidance [1, width]) -> the time embedding of each resnet, [1, c].
  // added: added conditioning [1, width] -> its embedding, [1, c]; empty if the model takes none.
  std::vector<ConditioningPart> before;
  // Inputs: latent [rows, ...]; if it is shallow, cached_feature [rows * cfg_copies, ...]; then
  // values of the parts before it, those of a prompt and of a request with [rows * cfg_copies,
  // ...], those of a timestep with [rows, ...]. A shallow step reads few of them.
  Graph step;

  const ConditioningPart& part(DependsOn depends) const;
};

// `type` is the type of keys, values and the cached feature: the one in which the programs compute.
// The parts before the step are the same for all sizes and all `size.part`.
std::vector<ConditioningPart> conditioning_parts(const UnetConfig& config, const LatentSize& size, DType type);
Graph unet_step(const UnetConfig& config, const LatentSize& size, DType type);
UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType type);  // both

// The same of a ControlNet. Its step takes "hint" and "scales" too, and gives residuals in `type`.
std::vector<ConditioningPart> conditioning_parts(const ControlnetConfig& config, const LatentSize& size, DType type);
Graph controlnet_step(const ControlnetConfig& config, const LatentSize& size, bool adds, DType type);

}  // namespace inkstone
