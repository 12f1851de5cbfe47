// Runs an ONNX graph node by node, as the file says it. With inputs that are shapes alone it
// computes shapes, and what memory the values take.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "op_call.h"
#include "tensor.h"

namespace ascend_sim {

// How fp16 comes into one node: what a precision mode makes of it.
struct Rounding {
  bool inputs = false, results = false;
  bool saturate = false;  // beyond 65504: that, and not infinity
};

using RoundingOf = std::function<Rounding(const onnx::NodeProto&)>;
using WeightOf = std::function<Tensor(const onnx::TensorProto&)>;  // may be a shape alone

struct Survey {
  size_t element = 4;                           // bytes of a floating number
  std::function<void(const OpCall&)> computed;  // after each node; may be empty
  // found: bytes of the values that live at the same time
  size_t peak = 0;
};

class Interpreter {
 public:
  // The graph outlives this.
  Interpreter(const onnx::GraphProto& graph, int opset, WeightOf weight_of, RoundingOf rounding_of);

  // In the order of the graph's inputs (weights listed as inputs are none) and outputs. Throws
  // OpError naming the node.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, Survey* survey = nullptr) const;

  const std::vector<std::string>& inputs() const { return inputs_; }

 private:
  const onnx::GraphProto& graph_;
  int opset_;
  WeightOf weight_of_;
  std::vector<Rounding> roundings_;  // of each node
  std::vector<std::string> inputs_;
  std::unordered_map<std::string, const onnx::TensorProto*> weights_;
  std::unordered_map<std::string, int> last_use_;
};

// of the domain "", 0 where it is not imported
int default_opset(const onnx::ModelProto& model);

}  // namespace ascend_sim
