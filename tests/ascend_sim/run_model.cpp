#include <cstring>

#include "interpreter.h"
#include "model.h"

namespace ascend_sim {
namespace {

Shape dims_of(const onnx::TensorProto& t) { return {t.dims().begin(), t.dims().end()}; }

// Straight from the device's bytes: what overwrites them is seen.
Tensor weight_at(const onnx::TensorProto& tensor, const std::byte* weights) {
  WeightPlace place;
  if (!place_of(tensor, place)) return tensor_of(tensor);
  if (place.stored == kFloat) {
    Tensor t = shape_only(kFloat, dims_of(tensor));
    auto* floats = reinterpret_cast<float*>(const_cast<std::byte*>(weights + place.offset));
    t.floats = std::shared_ptr<float[]>(std::shared_ptr<void>(), floats);
    return t;
  }
  Tensor t = from_bytes(place.stored, dims_of(tensor), weights + place.offset);
  t.type = tensor.data_type();
  return t;
}

int graph_type(const onnx::GraphProto& graph, const std::string& name) {
  for (const auto& input : graph.input())
    if (input.name() == name) return input.type().tensor_type().elem_type();
  return kFloat;
}

}  // namespace

std::vector<std::vector<Shape>> shapes_of_outputs(const OmInfo& info, const onnx::ModelProto& model) {
  const auto weight = [](const onnx::TensorProto& t) {
    WeightPlace place;
    return place_of(t, place) ? shape_only(t.data_type(), dims_of(t)) : tensor_of(t);
  };
  const Interpreter interpreter(model.graph(), default_opset(model), weight, {});
  std::vector<std::vector<Shape>> all;
  for (size_t gear = 0; gear < std::max<size_t>(1, info.gears.size()); ++gear) {
    std::vector<Tensor> inputs;
    const auto shapes = info.input_shapes(gear);
    for (size_t i = 0; i < shapes.size(); ++i)
      inputs.push_back(shape_only(graph_type(model.graph(), info.inputs[i].name), shapes[i]));
    all.emplace_back();
    for (const Tensor& output : interpreter.run(inputs)) all.back().push_back(output.dims);
  }
  return all;
}

void run_model(const Model& model, size_t gear, const std::vector<const std::byte*>& inputs,
               const std::vector<std::byte*>& outputs) {
  const OmInfo& info = model.info;
  const std::byte* weights;
  {
    std::lock_guard lock(world().mutex);
    weights = world().bytes_at(reinterpret_cast<void*>(model.weight));
  }
  if (!weights) throw OpError("the weights' memory was freed");
  const Interpreter interpreter(
      model.proto.graph(), default_opset(model.proto),
      [&](const onnx::TensorProto& t) { return weight_at(t, weights); },
      [&](const onnx::NodeProto& node) { return info.precision.of(node); });
  const auto shapes = info.input_shapes(gear);
  std::vector<Tensor> values;
  for (size_t i = 0; i < shapes.size(); ++i) {
    values.push_back(from_bytes(info.inputs[i].type, shapes[i], inputs[i]));
    values.back().type = graph_type(model.proto.graph(), info.inputs[i].name);
  }
  std::vector<Tensor> results = interpreter.run(values);
  for (size_t i = 0; i < results.size(); ++i) {
    if (is_floating(results[i].type)) results[i].type = info.outputs[i].type;
    to_bytes(results[i], outputs[i]);
  }
}

}  // namespace ascend_sim
