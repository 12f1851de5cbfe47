// The U-Net as graphs, so that a step computes what depends on the step alone (compile/hoist.h).
#pragma once

#include <vector>

#include "models/unet.h"

namespace inkstone {

struct UnetParts {
  Graph prompt;  // text [1, tokens, context] -> the keys and values of each cross-attention, [1, tokens, c]
  Graph time;    // timestep [1] (and guidance [1, width]) -> the time embedding of each resnet, [1, c]
  Graph added;   // added conditioning [1, width] -> its embedding; without outputs where the model takes none
  // latent [rows, ...], where it is shallow the deep feature [rows * copies, ...], then of the carried values
  // [rows * copies, tokens, c] for each of `keys`, [rows, c] for each of `times` and
  // [rows * copies, c] for each of `added_values`
  Graph step;
  // Which outputs of `prompt`, `time` and `added` the step reads: a shallow one few of them.
  std::vector<size_t> keys, times, added_values;
};

// `keys` is the type in which keys and values are carried, and the deep feature: the one in which the programs compute.
// `prompt`, `time` and `added` are the same for all sizes and parts.
UnetParts unet_parts(const UnetConfig& config, const LatentSize& size, DType keys);

}  // namespace inkstone
