// A graph is a list of nodes in the order they were written; a node reads only earlier
// ones, so the list is already a schedule. A Value names one node's result.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/op.h"

namespace inkstone {

class Graph;

struct Value {
  Graph* graph = nullptr;
  int id = -1;

  const Shape& shape() const;
  DType type() const;
  int64_t dim(int axis) const;  // negative counts from the back
};

struct Node {
  Op op;
  std::vector<int> inputs;
  Shape shape;
  DType type = DType::kF32;
};

class Graph {
 public:
  // `declared` is the shape of an Input, a Weight or a Constant; all others infer theirs. Throws
  // Error where inputs do not fit.
  Value add(Op op, const std::vector<Value>& inputs, Shape declared = {});
  Value add_node(Op op, std::vector<int> inputs, Shape declared = {});  // the same by ids, for passes
  void set_outputs(std::vector<int> outputs) { outputs_ = std::move(outputs); }
  // A pass may say that a node's result is stored in another type than inference gave it (bf16).
  void set_type(int id, DType type) { nodes_.at(id).type = type; }

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int id) const { return nodes_.at(id); }
  const std::vector<int>& outputs() const { return outputs_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int> outputs_;
};

// The inputs, all of them, in the order they were declared; then the nodes that the results need,
// in the order they are read. C++ leaves the order in which f(g(), h()) calls g and h to the
// compiler; after this the graph is the same from all of them.
Graph finish(const Graph& graph, std::span<const Value> results);
Graph finish(const Graph& graph, Value result);
// finish() for its own outputs: drops what nothing reads
Graph prune(const Graph& graph);

struct NamedShape {
  std::string name;
  Shape shape;
  DType type = DType::kF32;
};
// in the order of their nodes: the order Program::run takes them in
std::vector<NamedShape> inputs_of(const Graph& graph);
std::vector<NamedShape> weights_of(const Graph& graph);  // each name once, by first use
int64_t parameters(const Graph& graph);                  // elements of all weights

}  // namespace inkstone
