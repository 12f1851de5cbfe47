// Passes that find work which a denoising step need not repeat: values that do not depend on the
// step, and rows that are copies of one another. They are exact: the same ops on the same values,
// fewer times.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace inkstone::compile {

// Moves each Repeat behind the ops that read it: op(Repeat(a), weight, Repeat(b)) becomes
// Repeat(op(a, weight, b)). That holds for ops that work row by row and whose other inputs are
// repeated as often or have no rows of their own.
Graph sink_repeat(const Graph& graph);

// Inputs that change together, and the type in which values made of them alone are carried to the
// rest (fp32 or bf16).
struct HoistGroup {
  // those that the graph does not have are passed over
  std::vector<std::string> inputs;
  DType type = DType::kF32;
};

struct HoistedPart {
  // of the group's inputs, all of them; without outputs where nothing is worth carrying
  Graph graph;
  // of its outputs: the inputs of `rest` that they are for
  std::vector<std::string> names;
};

struct Hoisted {
  std::vector<HoistedPart> parts;  // one for each group
  // the graph itself; its inputs: those still read of its own, then the names of each part in order
  Graph rest;
};

// Splits by what values depend on. What a group alone decides is computed in its part where that
// takes a convolution, a linear or an attention; all else (reshapes, casts, repeats, sums) is
// cheaper done again than carried, and stays. Names come from the weights:
// "hoisted.mid_block.attentions.0.transformer_blocks.0.attn2.to_k".
Hoisted hoist(const Graph& graph, std::span<const HoistGroup> groups);

}  // namespace inkstone::compile
