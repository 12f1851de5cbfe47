// A tool for passes: it writes a new graph node by node, and remembers which new node stands for
// which old one.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace inkstone::compile {

class Rewrite {
 public:
  explicit Rewrite(const Graph& graph);

  // The new node that stands for an old one.
  int of(int old_id) const { return placed_[old_id]; }
  std::vector<int> of(const std::vector<int>& old_ids) const;
  // Copies the old node with its type; its inputs are the new nodes.
  int copy(int old_id);
  int add(Op op, std::vector<int> inputs, Shape declared = {});  // a new node
  void place(int old_id, int new_id);

  const Graph& graph() const { return out_; }  // as written so far
  const Node& node(int new_id) const { return out_.node(new_id); }
  void set_type(int new_id, DType type) { out_.set_type(new_id, type); }
  // At most one node of the old graph reads the new node, so it may be merged into its reader.
  bool single(int new_id) const { return uses_[new_id] == 1; }
  // Sets the outputs and drops nodes that nothing reads.
  Graph finish();

 private:
  const Graph& old_;
  Graph out_;
  std::vector<int> placed_, old_uses_, uses_;
};

// A node's op, or nullptr if it is not an O.
template <typename O>
const O* as(const Node& node) {
  return std::get_if<O>(&node.op);
}

}  // namespace inkstone::compile
