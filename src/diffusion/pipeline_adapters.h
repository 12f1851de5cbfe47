// A pipeline with adapters merged into its weights.
#pragma once

#include <functional>

#include "adapters/adapter_set.h"
#include "diffusion/pipeline.h"

namespace inkstone {

// Told how many bytes weights will take, before they are made.
using MakeRoom = std::function<void(size_t bytes)>;

// Replaces the weights that the set changes, and fills `adapters`. What was merged before is undone first.
// No Engine may have the pipeline: its programs read the weights. The memory for the merged weights is
// known before any is made: UsageError if `memory_budget` (0: none) is smaller. Throws Error naming the
// file and the tensor that does not fit; then nothing is merged.
void merge(Pipeline& pipeline, const AdapterSet& set, size_t memory_budget = 0, const MakeRoom& make_room = {});
// The weights of the model's own files again.
void unmerge(Pipeline& pipeline);

}  // namespace inkstone
