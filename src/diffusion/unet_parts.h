// The U-Net as three graphs, so that a step computes what depends on the step alone (compile/hoist.h).
#pragma once

#include <vector>

#include "models/unet.h"

namespace inkstone {

struct UnetParts {
  Graph prompt;  // text [1, tokens, context] -> the keys and values of each cross-attention, [1, tokens, c]
  Graph time;    // timestep [1] (and guidance [1, width]) -> the time embedding of each resnet, [1, c]
  // latent [rows, ...], where it is shallow the deep feature [rows * copies, ...], then of the carried values
  // [rows * copies, tokens, c] for each of `keys` and [rows, c] for each of `times`
  Graph step;
  std::vector<size_t> keys, times;  // which outputs of `prompt` and of `time` the step reads: a shallow one few of them
};

// `keys` is the type in which keys and values are carried, and the deep feature: the one in which the programs compute.
// `prompt` and `time` are the same for all sizes and parts.
UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType keys);

}  // namespace inkstone
