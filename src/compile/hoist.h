// What does not depend on the step is not computed in the step: passes that find out what need not be computed again, or
// not for every row. Exact: the same ops on the same values, fewer times.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace inkstone::compile {

// Repeat moves down through every op that works row by row, as far as its other inputs are repeated as often or have no
// rows of their own: op(Repeat(a), weight, Repeat(b)) becomes Repeat(op(a, weight, b)).
Graph sink_repeat(const Graph& graph);

// Inputs that change together, and the type in which values made of them alone are carried to the rest (fp32 or bf16).
struct HoistGroup {
  std::vector<std::string> inputs;  // those that the graph does not have are passed over
  DType type = DType::kF32;
};

struct HoistedPart {
  Graph graph;  // of the group's inputs, all of them; without outputs where nothing is worth carrying
  std::vector<std::string> names;  // of its outputs: the inputs of `rest` that they are for
};

struct Hoisted {
  std::vector<HoistedPart> parts;  // one for each group
  Graph rest;  // the graph itself; its inputs: those still read of its own, then the names of each part in order
};

// Splits by what values depend on. What a group alone decides is computed in its part where that takes a convolution, a
// linear or an attention; all else (reshapes, casts, repeats, sums) is cheaper done again than carried, and stays.
// Names come from the weights: "hoisted.mid_block.attentions.0.transformer_blocks.0.attn2.to_k".
Hoisted hoist(const Graph& graph, std::span<const HoistGroup> groups);

}  // namespace inkstone::compile
