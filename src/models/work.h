// The floating point operations of a model's graph as it is written, before any pass removes some.
// A speed is this work divided by the time it took, however it was computed.
#pragma once

#include "ir/graph.h"

namespace inkstone {

// Counts convolutions, linears and attention, 2 for a multiply-add, and nothing else.
double flops(const Graph& graph);

}  // namespace inkstone
