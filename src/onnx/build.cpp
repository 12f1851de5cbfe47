#include "onnx/build.h"

#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstring>

#include "base/error.h"

namespace inkstone::onnx_export {
namespace {

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

void set_dims(onnx::TensorProto& tensor, const Shape& shape) {
  for (const int64_t size : shape) tensor.add_dims(size);
}

struct SetAttribute {
  onnx::AttributeProto& to;
  void operator()(int64_t value) const {
    to.set_type(onnx::AttributeProto::INT);
    to.set_i(value);
  }
  void operator()(float value) const {
    to.set_type(onnx::AttributeProto::FLOAT);
    to.set_f(value);
  }
  void operator()(const std::vector<int64_t>& values) const {
    to.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) to.add_ints(value);
  }
  void operator()(const std::string& value) const {
    to.set_type(onnx::AttributeProto::STRING);
    to.set_s(value);
  }
};

// The bytes of the values in a type; all within fp16's range, since ATC may turn fp32 into fp16.
std::string constant_bytes(DType type, const std::vector<float>& values) {
  if (type == DType::kI32) return raw(std::vector<int32_t>(values.begin(), values.end()));
  for (const float value : values)
    INKSTONE_CHECK(std::fabs(value) <= kLargestF16, "a constant of the graph is ", value,
                   ", outside of fp16's range (65504), which Ascend computes in");
  if (type == DType::kF32) return raw(values);
  std::vector<uint16_t> halves;
  for (const float value : values) halves.push_back(to_f16(value));
  return raw(halves);
}

void add_external(onnx::TensorProto& tensor, const char* key, const std::string& value) {
  auto& entry = *tensor.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

}  // namespace

int onnx_type(DType type) {
  switch (type) {
    case DType::kF32: return onnx::TensorProto::FLOAT;
    case DType::kF16: return onnx::TensorProto::FLOAT16;
    case DType::kBF16: return onnx::TensorProto::BFLOAT16;
    case DType::kI32: return onnx::TensorProto::INT32;
  }
  return onnx::TensorProto::UNDEFINED;
}

Build::Build(const OnnxOptions& options, WeightFile& weights, onnx::GraphProto& graph)
    : options_(options), weights_(weights), graph_(graph) {}

std::string Build::node(const char* type, const std::vector<std::string>& inputs, const std::vector<Attribute>& more) {
  return nodes(type, inputs, 1, more)[0];
}

std::vector<std::string> Build::nodes(const char* type, const std::vector<std::string>& inputs, size_t results,
                                      const std::vector<Attribute>& more) {
  std::string name = std::string(type) + "_" + std::to_string(id_);
  if (const int before = named_[name]++) name += "_" + std::to_string(before + 1);
  onnx::NodeProto& node = *graph_.add_node();
  node.set_name(name);
  node.set_op_type(type);
  for (const std::string& input : inputs) node.add_input(input);
  std::vector<std::string> names;
  for (size_t i = 0; i < results; ++i) {
    names.push_back(results == 1 ? name : name + "_out" + std::to_string(i));
    node.add_output(names.back());
  }
  for (const Attribute& attribute : more) {
    onnx::AttributeProto& to = *node.add_attribute();
    to.set_name(attribute.name);
    std::visit(SetAttribute{to}, attribute.value);
  }
  return names;
}

std::string Build::keep(onnx::TensorProto tensor) {
  const auto [found, is_new] =
      constants_.emplace(tensor.SerializeAsString(), "const_" + std::to_string(constants_.size()));
  if (is_new) {
    tensor.set_name(found->second);
    *graph_.add_initializer() = std::move(tensor);
  }
  return found->second;
}

std::string Build::sizes(const std::vector<int64_t>& values) {
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx::TensorProto::INT64);
  tensor.add_dims(static_cast<int64_t>(values.size()));
  tensor.set_raw_data(raw(values));
  return keep(std::move(tensor));
}

std::string Build::numbers(const Shape& shape, const std::vector<float>& values) {
  return numbers_of(options_.type, shape, values);
}

std::string Build::numbers_of(DType type, const Shape& shape, const std::vector<float>& values) {
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx_type(type));
  set_dims(tensor, shape);
  tensor.set_raw_data(constant_bytes(type, values));
  return keep(std::move(tensor));
}

std::string Build::weight(const std::string& name, const Shape& shape, Layout layout) {
  std::string known = name + (layout == Layout::kTransposed ? ".t" : "");
  for (auto at = initializers_.find(known); at != initializers_.end() && at->second != shape;
       at = initializers_.find(known))
    known += ".r" + std::to_string(shape.size());
  if (!initializers_.emplace(known, shape).second) return known;
  const Place place = weights_.place(name, layout);
  onnx::TensorProto& tensor = *graph_.add_initializer();
  tensor.set_name(known);
  tensor.set_data_type(onnx_type(weights_.type()));
  set_dims(tensor, shape);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  add_external(tensor, "location", weights_.name());
  add_external(tensor, "offset", std::to_string(place.offset));
  add_external(tensor, "length", std::to_string(place.bytes));
  return known;
}

std::string Build::reshape(const std::string& x, Shape shape) {
  if (varies_) shape.at(0) = -1;
  return node("Reshape", {x, sizes(shape)});
}

std::string Build::transpose(const std::string& x, std::vector<int64_t> order) {
  return node("Transpose", {x}, {{"perm", std::move(order)}});
}

std::string Build::activate(const std::string& x, Activation kind) {
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return node("Mul", {x, node("Sigmoid", {x})});
    case Activation::kQuickGelu: return node("Mul", {x, node("Sigmoid", {node("Mul", {x, number(1.702f)})})});
    case Activation::kRelu: return node("Relu", {x});
    case Activation::kLeakyRelu: return node("LeakyRelu", {x}, {{"alpha", kLeakyReluSlope}});
    case Activation::kGelu: {
      const std::string erf = node("Erf", {node("Div", {x, number(std::sqrt(2.0f))})});
      return node("Mul", {node("Mul", {x, node("Add", {erf, number(1)})}), number(0.5f)});
    }
  }
  return x;
}

std::string Call::in(size_t i) const {
  const auto* weight = std::get_if<op::Weight>(&from(i).op);
  return weight ? build_.weight(weight->name, from(i).shape) : values_.at(node_.inputs.at(i)).name;
}

std::string Call::shaped(size_t i, const Shape& to) const {
  if (const auto* weight = std::get_if<op::Weight>(&from(i).op)) return build_.weight(weight->name, to);
  return shape(i) == to ? in(i) : build_.reshape(in(i), to);
}

std::string Call::transposed(size_t i) const {
  const Shape& is = shape(i);
  if (const auto* weight = std::get_if<op::Weight>(&from(i).op))
    return build_.weight(weight->name, {is[1], is[0]}, Layout::kTransposed);
  return build_.transpose(in(i), {1, 0});
}

}  // namespace inkstone::onnx_export
