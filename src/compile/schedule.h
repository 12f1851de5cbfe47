// The order of a graph's nodes is its schedule. A pass that makes many small values says here when each should come.
#pragma once

#include <span>

#include "ir/graph.h"

namespace inkstone {

struct Turn {
  int stage = 0;
  double place = 0;  // within the stage
};

// The inputs, all of them, and the nodes that the outputs need: always the one of the earliest turn among those whose
// inputs are there, nodes of one turn in the order they stood. turns[id] is node id's.
Graph in_turns(const Graph& graph, std::span<const Turn> turns);

}  // namespace inkstone
