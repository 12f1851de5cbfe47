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
  // `declared` is the shape of an Input, a Weight or a Constant; all other shapes are inferred.
  // Throws Error if inputs do not fit.
  Value add(Op op, const std::vector<Value>& inputs, Shape declared = {});
  Value add_node(Op op, std::vector<int> inputs, Shape declared = {});  // by ids, for passes
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

// The graph with all inputs first, in the order they were declared, then the nodes that the results
// need, in the order they are read. C++ does not say in which order f(g(), h()) calls g and h;
// after finish() every compiler gives the same graph.
Graph finish(const Graph& graph, std::span<const Value> results);
Graph finish(const Graph& graph, Value result);
// finish() for the graph's own outputs: drops nodes that nothing reads.
Graph prune(const Graph& graph);

struct NamedShape {
  std::string name;
  Shape shape;
  DType type = DType::kF32;
};
// In the order of their nodes, which is the order in which Program::run takes them.
std::vector<NamedShape> inputs_of(const Graph& graph);
std::vector<NamedShape> weights_of(const Graph& graph);  // each name once, by first use
int64_t parameters(const Graph& graph);                  // elements of all weights

}  // namespace inkstone
