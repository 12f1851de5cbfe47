// What passes share: a new graph written node by node, with where each old node went.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace inkstone::compile {

class Rewrite {
 public:
  explicit Rewrite(const Graph& graph);

  // the new node that stands for an old one
  int of(int old_id) const { return placed_[old_id]; }
  std::vector<int> of(const std::vector<int>& old_ids) const;
  // the old node, on its new inputs, with its type
  int copy(int old_id);
  int add(Op op, std::vector<int> inputs, Shape declared = {});  // a new node
  void place(int old_id, int new_id);

  const Graph& graph() const { return out_; }  // as far as written
  const Node& node(int new_id) const { return out_.node(new_id); }
  void set_type(int new_id, DType type) { out_.set_type(new_id, type); }
  // The new node is read by one reader of the old graph at most, so it may be merged into it.
  bool single(int new_id) const { return uses_[new_id] == 1; }
  // outputs carried over, what nothing reads dropped
  Graph finish();

 private:
  const Graph& old_;
  Graph out_;
  std::vector<int> placed_, old_uses_, uses_;
};

// The op of a node, or nullptr where it is another.
template <typename O>
const O* as(const Node& node) {
  return std::get_if<O>(&node.op);
}

}  // namespace inkstone::compile
