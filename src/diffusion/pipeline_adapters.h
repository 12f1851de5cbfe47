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
// known before any is made, and checked by check_room(). Throws Error naming the
// file and the tensor that does not fit; then nothing is merged.
void merge(Pipeline& pipeline, const AdapterSet& set, size_t memory_budget = 0, const MakeRoom& make_room = {});
// UsageError if weights of so many bytes do not fit: into the budget or, where there is none (0), into what the machine
// has free (0: unknown).
void check_room(size_t bytes, size_t memory_budget, size_t memory_free);
// The weights of the model's own files again.
void unmerge(Pipeline& pipeline);

}  // namespace inkstone
