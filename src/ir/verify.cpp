#include "ir/verify.h"

#include <map>

#include "base/error.h"
#include "ir/infer.h"
#include "ir/print.h"

namespace inkstone {
namespace {

bool declares_its_shape(const Op& op) {
  return std::holds_alternative<op::Input>(op) || std::holds_alternative<op::Weight>(op) ||
         std::holds_alternative<op::Constant>(op);
}

void verify_node(const Graph& graph, int id) {
  const Node& node = graph.node(id);
  std::vector<Signature> in;
  for (int input : node.inputs) {
    INKSTONE_CHECK(0 <= input && input < id, print(node, id), ": reads %", input, ", which is not earlier");
    in.push_back({graph.node(input).shape, graph.node(input).type});
  }
  if (declares_its_shape(node.op)) {
    INKSTONE_CHECK(node.inputs.empty(), print(node, id), ": a source with inputs");
    count(node.shape);
    return;
  }
  const Signature signature = infer(node.op, in);
  INKSTONE_CHECK(signature.shape == node.shape, print(node, id), ": inference gives ", to_string(signature.shape));
}

}  // namespace

void verify(const Graph& graph) {
  std::map<std::string, Shape> weights, inputs;
  for (int id = 0; id < static_cast<int>(graph.nodes().size()); ++id) {
    verify_node(graph, id);
    const Node& node = graph.node(id);
    if (const auto* weight = std::get_if<op::Weight>(&node.op)) {
      const auto [at, fresh] = weights.emplace(weight->name, node.shape);
      INKSTONE_CHECK(fresh || at->second == node.shape, "weight ", weight->name, " is ", to_string(at->second), " and ",
                     to_string(node.shape));
    }
    if (const auto* input = std::get_if<op::Input>(&node.op))
      INKSTONE_CHECK(inputs.emplace(input->name, node.shape).second, "two inputs are called ", input->name);
  }
  INKSTONE_CHECK(!graph.outputs().empty(), "a graph without outputs");
  for (int id : graph.outputs())
    INKSTONE_CHECK(0 <= id && id < static_cast<int>(graph.nodes().size()), "output %", id, " does not exist");
}

}  // namespace inkstone
