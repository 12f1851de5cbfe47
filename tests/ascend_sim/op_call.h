// One node while it is computed: its inputs, attributes and results. Where an input is a shape
// without data, so are the results.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor.h"

namespace ascend_sim {

class OpCall {
 public:
  OpCall(const onnx::NodeProto& node, int opset, std::vector<const Tensor*> inputs);

  const onnx::NodeProto& node() const { return node_; }
  int opset() const { return opset_; }
  size_t inputs() const { return inputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  const Tensor& in(size_t i) const;
  // every input has data: the results are to be computed
  bool known() const { return known_; }

  // Whole numbers that decide about a shape; an error where they are not known before the run.
  std::vector<int64_t> ints_of(size_t i) const;

  // the next result, with data to be set where known()
  Tensor& out(int type, Shape dims);
  void give(Tensor tensor) { outputs_.push_back(std::move(tensor)); }
  std::vector<Tensor>& results() { return outputs_; }

  const onnx::AttributeProto* attribute(const char* name) const;
  int64_t integer(const char* name, int64_t otherwise) const;
  float number(const char* name, float otherwise) const;
  std::string text(const char* name, const std::string& otherwise) const;
  std::vector<int64_t> integers(const char* name, std::vector<int64_t> otherwise = {}) const;
  int64_t axis(int64_t otherwise, int64_t rank) const;  // the attribute, counted from the front

  [[noreturn]] void refuse(const std::string& why) const;

 private:
  const onnx::NodeProto& node_;
  int opset_;
  bool known_;
  std::vector<const Tensor*> inputs_;
  std::vector<Tensor> outputs_;
};

using Op = std::function<void(OpCall&)>;
using Ops = std::map<std::string, Op>;

void add_math_ops(Ops& ops);
void add_shape_ops(Ops& ops);
void add_move_ops(Ops& ops);
void add_product_ops(Ops& ops);
void add_norm_ops(Ops& ops);
const Ops& all_ops();

// with its data in the file itself
Tensor tensor_of(const onnx::TensorProto& proto);
int64_t from_front(int64_t axis, int64_t rank, const OpCall& call);
Shape broadcast(const Shape& a, const Shape& b, const OpCall& call);

// How far to go in `from` for one step along each axis of `to`: 0 where it is repeated.
std::vector<int64_t> broadcast_strides(const Shape& from, const Shape& to);

// Calls body(offset...) for each row (last axis) of `dims`, in parallel where there is much; the
// offsets follow `strides`.
void for_rows(const Shape& dims, const std::vector<std::vector<int64_t>>& strides,
              const std::function<void(int64_t row, const int64_t* offsets)>& body);

}  // namespace ascend_sim
