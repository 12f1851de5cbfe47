// Passes that find work which a denoising step need not repeat: values that do not depend on the
// step, and rows that are copies of each other. They are exact: the same ops run on the same
// values, fewer times.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace inkstone::compile {

// Moves each Repeat behind the ops that read it: op(Repeat(a), weight, Repeat(b)) becomes
// Repeat(op(a, weight, b)). This is done for ops that work row by row, if their other inputs are
// repeated as often or have no rows.
Graph sink_repeat(const Graph& graph);

// Inputs that change together. Values that depend on them alone are passed to the rest in this type
// (fp32 or bf16).
struct HoistGroup {
  // Names that the graph does not have are ignored.
  std::vector<std::string> inputs;
  DType type = DType::kF32;
};

struct HoistedPart {
  // Takes all inputs of the group. Has no outputs if nothing is worth passing on.
  Graph graph;
  // For each output, the input of `rest` that takes it.
  std::vector<std::string> names;
};

struct Hoisted {
  std::vector<HoistedPart> parts;  // one for each group
  // The remaining graph. Its inputs are those of the original that it still reads, then the names
  // of each part in order.
  Graph rest;
};

// Splits a graph by what its values depend on. A value that depends on one group alone is computed
// in that group's part, if it takes a convolution, a linear or an attention. Cheaper values
// (reshapes, casts, repeats, sums) stay in the rest, because computing them again costs less than
// passing them on. The inputs' names come from the weights:
// "hoisted.mid_block.attentions.0.transformer_blocks.0.attn2.to_k".
Hoisted hoist(const Graph& graph, std::span<const HoistGroup> groups);

}  // namespace inkstone::compile
