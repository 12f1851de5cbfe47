#include "models/work.h"

namespace inkstone {
namespace {

double product(const Shape& result, int64_t depth) {
  return 2 * static_cast<double>(count(result)) * static_cast<double>(depth);
}

double flops_of(const Graph& graph, const Node& node) {
  const auto in = [&](size_t k) -> const Shape& { return graph.node(node.inputs[k]).shape; };
  if (std::holds_alternative<op::Conv2d>(node.op)) return product(node.shape, count(in(1)) / in(1)[0]);
  if (std::holds_alternative<op::Linear>(node.op)) return product(node.shape, in(1)[1]);
  if (std::holds_alternative<op::Attention>(node.op)) return 2 * product(in(0), in(1)[1]);  // scores, then their sums
  return 0;
}

}  // namespace

double flops(const Graph& graph) {
  double sum = 0;
  for (const Node& node : graph.nodes()) sum += flops_of(graph, node);
  return sum;
}

}  // namespace inkstone
