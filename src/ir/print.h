// A graph as text that shows everything in it, one node a line: "%7 = conv2d(%3, %5, %6) stride=1
// pad=1 : [2, 320, 64, 64] fp32".
#pragma once

#include <string>

#include "ir/graph.h"

namespace inkstone {

std::string name_of(const Op& op);  // "conv2d"
const char* name_of(Activation activation);
std::string print(const Node& node, int id);
std::string print(const Graph& graph);

}  // namespace inkstone
