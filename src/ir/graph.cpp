#include "ir/graph.h"

#include <set>

#include "base/error.h"
#include "ir/infer.h"

namespace inkstone {

const Shape& Value::shape() const { return graph->node(id).shape; }

DType Value::type() const { return graph->node(id).type; }

int64_t Value::dim(int axis) const {
  const Shape& sizes = shape();
  const int rank = static_cast<int>(sizes.size());
  INKSTONE_CHECK(-rank <= axis && axis < rank, "axis ", axis, " of ", to_string(sizes));
  return sizes[axis < 0 ? axis + rank : axis];
}

Value Graph::add(Op op, const std::vector<Value>& inputs, Shape declared) {
  std::vector<int> ids;
  ids.reserve(inputs.size());
  for (const Value& value : inputs) {
    INKSTONE_CHECK(value.graph == this, "an op reads a value of another graph");
    ids.push_back(value.id);
  }
  return add_node(std::move(op), std::move(ids), std::move(declared));
}

Value Graph::add_node(Op op, std::vector<int> inputs, Shape declared) {
  Signature signature;
  if (const auto* input = std::get_if<op::Input>(&op)) {
    signature = {std::move(declared), input->type};
  } else if (std::holds_alternative<op::Weight>(op)) {
    signature = {std::move(declared), DType::kF32};
  } else if (const auto* constant = std::get_if<op::Constant>(&op)) {
    INKSTONE_CHECK(count(declared) == static_cast<int64_t>(constant->values.size()),
                   "constant: ", constant->values.size(), " values for ", to_string(declared));
    signature = {std::move(declared), constant->type};
  } else {
    std::vector<Signature> in;
    in.reserve(inputs.size());
    for (int id : inputs) in.push_back({node(id).shape, node(id).type});
    signature = infer(op, in);
  }
  nodes_.push_back({std::move(op), std::move(inputs), std::move(signature.shape), signature.type});
  return {this, static_cast<int>(nodes_.size()) - 1};
}

Graph finish(const Graph& graph, std::span<const Value> results) {
  Graph out;
  std::vector<int> placed(graph.nodes().size(), -1);
  // Depth first, inputs in reading order, with a stack of our own: graphs are thousands of nodes
  // deep.
  struct Frame {
    int id;
    size_t next;
  };
  std::vector<Frame> stack;
  std::vector<int> outputs;
  for (size_t id = 0; id < placed.size(); ++id)
    if (const Node& node = graph.nodes()[id]; std::holds_alternative<op::Input>(node.op))
      placed[id] = out.add_node(node.op, {}, node.shape).id;
  for (const Value& result : results) {
    stack.push_back({result.id, 0});
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const Node& node = graph.node(frame.id);
      if (placed[frame.id] >= 0) {
        stack.pop_back();
      } else if (frame.next < node.inputs.size()) {
        stack.push_back({node.inputs[frame.next++], 0});
      } else {
        std::vector<int> inputs;
        for (int input : node.inputs) inputs.push_back(placed[input]);
        const int id = placed[frame.id] = out.add_node(node.op, std::move(inputs), node.shape).id;
        out.set_type(id, node.type);
        stack.pop_back();
      }
    }
    outputs.push_back(placed[result.id]);
  }
  out.set_outputs(std::move(outputs));
  return out;
}

Graph finish(const Graph& graph, Value result) { return finish(graph, std::span(&result, 1)); }

Graph prune(const Graph& graph) {
  std::vector<Value> results;
  for (int id : graph.outputs()) results.push_back({const_cast<Graph*>(&graph), id});
  return finish(graph, results);
}

std::vector<NamedShape> inputs_of(const Graph& graph) {
  std::vector<NamedShape> inputs;
  for (const Node& node : graph.nodes())
    if (const auto* input = std::get_if<op::Input>(&node.op)) inputs.push_back({input->name, node.shape, input->type});
  return inputs;
}

std::vector<NamedShape> weights_of(const Graph& graph) {
  std::vector<NamedShape> weights;
  std::set<std::string> seen;
  for (const Node& node : graph.nodes())
    if (const auto* weight = std::get_if<op::Weight>(&node.op))
      if (seen.insert(weight->name).second) weights.push_back({weight->name, node.shape});
  return weights;
}

int64_t parameters(const Graph& graph) {
  int64_t total = 0;
  for (const NamedShape& weight : weights_of(graph)) total += count(weight.shape);
  return total;
}

}  // namespace inkstone
