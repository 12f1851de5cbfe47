// Sorts a graph's nodes into the order in which they will run. A pass that makes many small values
// gives each node a position, so that a value is made shortly before it is read.
#pragma once

#include <span>

#include "ir/graph.h"

namespace inkstone::compile {

// Earlier stages run first; within a stage, smaller places do.
struct SchedulePosition {
  int stage = 0;
  double place = 0;
};

// The graph with its nodes sorted: all inputs, and the nodes that the outputs need. A node comes
// after everything that it reads; of the nodes that could be next, the one with the earliest
// position is. Nodes with equal positions keep their order. `positions` is indexed by node.
Graph in_schedule_order(const Graph& graph, std::span<const SchedulePosition> positions);

}  // namespace inkstone::compile
