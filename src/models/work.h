// What a model asks of a machine: the floating point operations of its graph as written, before any pass finds a way to do
// with less. Effective rates are this work over the time it took, however it was done.
#pragma once

#include "ir/graph.h"

namespace inkstone {

// Of convolutions, linears and attention, 2 for a multiply-add; the rest is not counted.
double flops(const Graph& graph);

}  // namespace inkstone
