// The order of a graph's nodes is its schedule. A pass that makes many small values says here when each should come.
#pragma once

#include <span>

#include "ir/graph.h"

namespace inkstone::compile {

struct SchedulePosition {
  int stage = 0;
  double place = 0;  // within the stage
};

// Lists all inputs, then the nodes that the outputs need: next is always the node of the earliest position among those
// whose inputs are listed. Nodes of one position keep their order. positions[id] is node id's.
Graph in_schedule_order(const Graph& graph, std::span<const SchedulePosition> positions);

}  // namespace inkstone::compile
