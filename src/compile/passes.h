// Passes: a graph goes in, a better graph that means the same comes out. Each is exact unless it
// says otherwise.
#pragma once

#include "ir/graph.h"

namespace inkstone::compile {

// Constants are computed now: ops on constants, lookups of constant ids in a table (position
// embeddings become the table itself), reshapes of reshapes, casts to the type that is there, +0
// and *1. What nothing reads is dropped.
Graph fold(const Graph& graph);

// Several ops become one call: conv/linear with activation and residual, GroupNorm with the
// per-channel addend before it and the SiLU after it, the two halves of a GEGLU.
Graph fuse(const Graph& graph);

// Which values are stored in `type` (bf16): activations between ops. Inputs and outputs keep their
// type; statistics and the time embedding stay fp32; the rest differs by rounding. kF32 returns the
// graph as it is. Cast ops stand where types meet; every op but Cast, Embedding and GroupApply then
// reads values of one type (weights aside: they are given in the type the op computes in).
Graph choose_precision(const Graph& graph, DType type);

// Exact tiling in row bands, the last pass: a map of at least `min_pixels` of one image exists only
// as bands of about `band_rows` rows, from where it is made to its last reader, through
// convolutions, GroupNorm, Upsample2x, activations, sums and casts. Statistics are those of the
// whole map; a kernel that reaches into the next band reads its rows. The nodes stand in the order
// in which bands let go of their memory soonest: a pass that lists them in another order loses it.
// Results equal the untiled ones to rounding: bands only split the pixels. A GroupApply or an
// Upsample2x stands right before the convolution that alone reads it.
Graph tile_rows(const Graph& graph, int64_t min_pixels, int64_t band_rows);

}  // namespace inkstone::compile
