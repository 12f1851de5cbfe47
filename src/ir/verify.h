// The rules that every graph must follow, whether a model, a pass or a test made it.
#pragma once

#include "ir/graph.h"

namespace inkstone {

// Throws Error naming the first node that breaks a rule: an input that is not earlier, a shape that
// inference does not give, a name used twice with different shapes, an output that does not exist.
void verify(const Graph& graph);

}  // namespace inkstone
