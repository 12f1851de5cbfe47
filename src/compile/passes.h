// Passes: a graph goes in, a better graph that means the same comes out. Each is exact unless it
// says otherwise.
#pragma once

#include "ir/graph.h"

namespace inkstone::compile {

// Computes constants: ops on constants, lookups of constant ids in a table (position embeddings
// become the table itself). Removes reshapes of reshapes, casts to the same type, +0, *1, and nodes
// that nothing reads.
Graph fold(const Graph& graph);

// Turns several ops into one: conv/linear with activation and residual, GroupNorm with the
// per-channel addend before it and the SiLU after it, the two halves of a GEGLU.
Graph fuse(const Graph& graph);

// Stores the activations between ops in `type` (bf16). Inputs and outputs keep their type;
// statistics and the time embedding stay fp32. The result differs by rounding; kF32 returns the
// graph unchanged. Cast ops are added between types, so that every op but Cast, Embedding and
// GroupApply reads values of one type (weights are given in the type in which the op computes).
Graph choose_precision(const Graph& graph, DType type);

// Exact tiling in row bands, the last pass: a map of at least `min_pixels` of one image exists only
// as bands of about `band_rows` rows, from the op that makes it to its last reader, through
// convolutions, GroupNorm, Upsample2x, activations, sums, products, casts and concatenations of
// channels. Statistics are those of the
// whole map; a kernel that reaches into the next band reads its rows. The nodes are in the order in
// which bands free their memory soonest, so this must be the last pass. Bands only split the
// pixels: results equal the untiled ones up to rounding; on `cpu` bit by bit, for maps that are at
// least 16 pixels wide and bands of at least 8 rows. A GroupApply or an Upsample2x comes right before the only convolution that
// reads it.
Graph tile_rows(const Graph& graph, int64_t min_pixels, int64_t band_rows);

}  // namespace inkstone::compile
