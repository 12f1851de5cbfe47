// Puts the nodes of a graph into the order in which they are to run. A pass that makes many small
// values gives each node a position, so that a value is made shortly before it is read.
#pragma once

#include <span>

#include "ir/graph.h"

namespace inkstone::compile {

// Earlier stages run first; within a stage, smaller places do.
struct SchedulePosition {
  int stage = 0;
  double place = 0;
};

// The graph with its nodes in that order: all inputs and what the outputs need, nothing else. A
// node stands behind everything that it reads; of the nodes for which that holds, the one of the
// earliest position is next. Nodes of one position keep their order. `positions` is by node.
Graph in_schedule_order(const Graph& graph, std::span<const SchedulePosition> positions);

}  // namespace inkstone::compile
