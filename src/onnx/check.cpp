#include "onnx/check.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "base/error.h"
#include "onnx/build.h"

namespace inkstone::onnx_export {
namespace {

// The weights are declared without their numbers, because their file does not exist yet.
void drop_weights(onnx::GraphProto& graph) {
  google::protobuf::RepeatedPtrField<onnx::TensorProto> kept;
  for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
    if (tensor.data_location() != onnx::TensorProto::EXTERNAL) {
      *kept.Add() = std::move(tensor);
      continue;
    }
    onnx::ValueInfoProto& info = *graph.add_input();
    info.set_name(tensor.name());
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(tensor.data_type());
    for (const int64_t size : tensor.dims()) type.mutable_shape()->add_dim()->set_dim_value(size);
  }
  graph.mutable_initializer()->Swap(&kept);
}

void compare(const onnx::ValueInfoProto& info, const OnnxPort& right, const std::string& file) {
  const auto& type = info.type().tensor_type();
  Shape shape;
  for (const auto& size : type.shape().dim()) shape.push_back(size.has_dim_value() ? size.dim_value() : -1);
  INKSTONE_CHECK(shape == right.shape && type.elem_type() == onnx_type(right.type), file, ": ONNX infers ",
                 to_string(shape), " of type ", type.elem_type(), " for ", info.name(), ", the graph has ",
                 to_string(right.shape), " ", name_of(right.type));
}

}  // namespace

void check_model(const onnx::ModelProto& model, const KnownPorts& known, const std::string& file) {
  onnx::ModelProto copy = model;
  drop_weights(*copy.mutable_graph());
  try {
    onnx::checker::check_model(copy);
    const onnx::ShapeInferenceOptions strict(/*check_type_val=*/true, /*strict_mode_val=*/1, /*data_prop_val=*/true);
    onnx::shape_inference::InferShapes(copy, onnx::OpSchemaRegistry::Instance(), strict);
  } catch (const std::exception& error) {
    fail(INKSTONE_HERE, {file, ": ONNX's checker refuses what was made: ", error.what()});
  }
  for (const onnx::ValueInfoProto& info : copy.graph().value_info())
    if (const auto found = known.find(info.name()); found != known.end()) compare(info, found->second, file);
  const bool results_alone = copy.graph().node_size() <= copy.graph().output_size() + 2;
  INKSTONE_CHECK(copy.graph().value_info_size() > 0 || results_alone, file, ": ONNX inferred no shape");
}

}  // namespace inkstone::onnx_export
