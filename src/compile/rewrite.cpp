#include "compile/rewrite.h"

namespace inkstone::compile {

Rewrite::Rewrite(const Graph& graph)
    : old_(graph), placed_(graph.nodes().size(), -1), old_uses_(graph.nodes().size(), 0) {
  for (const Node& node : graph.nodes())
    for (int input : node.inputs) ++old_uses_[input];
  for (int id : graph.outputs()) ++old_uses_[id];
}

std::vector<int> Rewrite::of(const std::vector<int>& old_ids) const {
  std::vector<int> ids;
  for (int id : old_ids) ids.push_back(placed_[id]);
  return ids;
}

int Rewrite::copy(int old_id) {
  const Node& node = old_.node(old_id);
  const int id = add(node.op, of(node.inputs), node.shape);
  out_.set_type(id, node.type);
  place(old_id, id);
  return id;
}

int Rewrite::add(Op op, std::vector<int> inputs, Shape declared) {
  const int id = out_.add_node(std::move(op), std::move(inputs), std::move(declared)).id;
  // A node that a pass adds has one reader, unless place() says otherwise.
  uses_.push_back(1);
  return id;
}

void Rewrite::place(int old_id, int new_id) {
  const bool taken = placed_[old_id] != new_id && uses_[new_id] > 1;
  placed_[old_id] = new_id;
  uses_[new_id] = taken ? uses_[new_id] + old_uses_[old_id] : old_uses_[old_id];
}

Graph Rewrite::finish() {
  out_.set_outputs(of(old_.outputs()));
  return prune(out_);
}

}  // namespace inkstone::compile
