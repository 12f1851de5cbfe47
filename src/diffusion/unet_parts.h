// The U-Net as several graphs, so that a step computes what depends on the step alone (compile/hoist.h).
#pragma once

#include <string>
#include <vector>

#include "diffusion/conditioning.h"
#include "models/unet.h"

namespace inkstone {

struct ConditioningPart {  // a graph that runs before the steps
  std::string name;        // "prompt", "time", "added"
  DependsOn depends = DependsOn::kPrompt;
  Graph graph;                      // inputs: those of kConditioning that depend on it, of one row
  std::vector<std::string> values;  // its outputs, by the names of the step's inputs; none where nothing is hoisted
};

struct UnetParts {
  // prompt: text [1, tokens, context] -> the keys and values of each cross-attention, [1, tokens, c].
  // time: timestep [1] (and guidance [1, width]) -> the time embedding of each resnet, [1, c].
  // added: added conditioning [1, width] -> its embedding, [1, c]; empty where the model takes none.
  std::vector<ConditioningPart> before;
  // latent [rows, ...], where it is shallow cached_feature [rows * cfg_copies, ...], then values of the parts before it: those
  // of a prompt and of a request [rows * cfg_copies, ...], those of a timestep [rows, ...]. A shallow one reads few of them.
  Graph step;

  const ConditioningPart& part(DependsOn depends) const;
};

// `type` is what keys, values and the cached feature are carried in: the type that the programs compute in. The parts
// before the step are the same for all sizes and all `size.part`.
std::vector<ConditioningPart> conditioning_parts(const UnetConfig& config, const LatentSize& size, DType type);
Graph unet_step(const UnetConfig& config, const LatentSize& size, DType type);
UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType type);  // both

}  // namespace inkstone
