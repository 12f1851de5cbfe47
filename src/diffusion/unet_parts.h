// The U-Net as three graphs, so that a step computes what depends on the step alone (compile/hoist.h).
#pragma once

#include "models/unet.h"

namespace inkstone {

struct UnetParts {
  Graph prompt;  // text [1, tokens, context] -> the keys and values of each cross-attention, [1, tokens, c]
  Graph time;    // timestep [1] (and guidance [1, width]) -> the time embedding of each resnet, [1, c]
  Graph
      step;  // latent [rows, ...], then for each output of `prompt` [rows * copies, tokens, c], then of `time` [rows, c]
};

// `keys` is the type in which keys and values are carried: the one in which the programs compute.
UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType keys);

}  // namespace inkstone
