// An ONNX graph that is being written. Nodes have short names ("Conv_17": the op, and the number of
// the node that it is made of). Small constants are in the file itself, weights in the weight file
// beside it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ir/graph.h"
#include "onnx/export.h"
#include "onnx/weight_file.h"

namespace onnx {
class GraphProto;
class TensorProto;
}  // namespace onnx

namespace inkstone::onnx_export {

struct Attribute {
  const char* name;
  std::variant<int64_t, float, std::vector<int64_t>, std::string> value;
};

class Build {
 public:
  Build(const OnnxOptions& options, WeightFile& weights, onnx::GraphProto& graph);

  const OnnxOptions& options() const { return options_; }
  DType floating(DType type) const { return type == DType::kI32 ? type : options_.type; }  // as written in this file
  // The next nodes are made of node `id`. `varies`: its number of rows is open, so no constant may
  // contain it.
  void begin(int id, bool varies) { id_ = id, varies_ = varies; }
  bool varies() const { return varies_; }

  // They add nodes and return the names of their results.
  std::string node(const char* type, const std::vector<std::string>& inputs, const std::vector<Attribute>& more = {});
  std::vector<std::string> nodes(const char* type, const std::vector<std::string>& inputs, size_t results,
                                 const std::vector<Attribute>& more = {});

  // Constants; equal ones are stored once. int64, as Reshape and Slice need them.
  std::string sizes(const std::vector<int64_t>& values);
  // In the file's type; checked against fp16's range.
  std::string numbers(const Shape& shape, const std::vector<float>& values);
  std::string numbers_of(DType type, const Shape& shape, const std::vector<float>& values);
  std::string number(float value) { return numbers({}, {value}); }
  std::string weight(const std::string& name, const Shape& shape, Layout layout = Layout::kAsStored);

  // Forms used by several ops.
  std::string reshape(const std::string& x, Shape shape);
  std::string transpose(const std::string& x, std::vector<int64_t> order);
  std::string activate(const std::string& x, Activation kind);

 private:
  std::string keep(onnx::TensorProto tensor);

  const OnnxOptions& options_;
  WeightFile& weights_;
  onnx::GraphProto& graph_;
  int id_ = 0;
  bool varies_ = false;
  std::map<std::string, int> named_;              // node names taken
  std::map<std::string, std::string> constants_;  // serialized, and its name
  std::map<std::string, Shape> initializers_;
};

int onnx_type(DType type);

// A node of the graph with what it reads.
class Call {
 public:
  Call(Build& build, const Graph& graph, const Node& node, const std::vector<OnnxPort>& values)
      : build_(build), graph_(graph), node_(node), values_(values) {}

  Build& build() const { return build_; }
  const Node& node() const { return node_; }
  size_t inputs() const { return node_.inputs.size(); }
  const Node& from(size_t i) const { return graph_.node(node_.inputs.at(i)); }
  const Shape& shape(size_t i) const { return from(i).shape; }
  DType type(size_t i) const { return values_.at(node_.inputs.at(i)).type; }  // as it stands in the file
  // Input i, a value or a weight, as it is.
  std::string in(size_t i) const;
  // Input i reshaped. A weight is only declared with the other shape.
  std::string shaped(size_t i, const Shape& to) const;
  // Input i, a matrix, transposed. A weight is stored transposed.
  std::string transposed(size_t i) const;

 private:
  Build& build_;
  const Graph& graph_;
  const Node& node_;
  const std::vector<OnnxPort>& values_;  // of the nodes so far
};

std::string write_node(const Call& call);  // the name of its value

}  // namespace inkstone::onnx_export
