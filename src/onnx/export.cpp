#include "onnx/export.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "ir/verify.h"
#include "onnx/build.h"
#include "onnx/check.h"

namespace inkstone {
namespace {

using namespace onnx_export;

constexpr int kIrVersion = 8;  // of opset 17; ATC takes 9 at most

void declare(onnx::ValueInfoProto& info, const OnnxPort& port) {
  info.set_name(port.name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx_type(port.type));
  tensor.mutable_shape();  // there also where the rank is 0
  for (const int64_t size : port.shape) tensor.mutable_shape()->add_dim()->set_dim_value(size);
}

// A result is given its port's name; where the value is a port already, or no node's, a copy of it.
void name_result(onnx::GraphProto& graph, const std::string& value, const std::string& port,
                 std::set<std::string>& ports) {
  const auto makes = [&](const onnx::NodeProto& node) { return node.output(0) == value; };
  const auto maker = std::ranges::find_if(graph.node(), makes);
  if (maker == graph.node().end() || ports.contains(value)) {
    onnx::NodeProto& copy = *graph.add_node();
    copy.set_name("Identity_" + port);
    copy.set_op_type("Identity");
    copy.add_input(value);
    copy.add_output(port);
  } else {
    for (onnx::NodeProto& node : *graph.mutable_node()) {
      for (std::string& name : *node.mutable_input())
        if (name == value) name = port;
      for (std::string& name : *node.mutable_output())
        if (name == value) name = port;
    }
  }
  ports.insert(port);
}

struct Model {
  OnnxFile file;
  std::string bytes;
};

class Exporter {
 public:
  Exporter(const Graph& graph, const OnnxPorts& ports, const OnnxOptions& options, WeightFile& weights)
      : graph_(graph), ports_(ports), options_(options), build_(options, weights, *proto_.mutable_graph()) {}

  Model write(const std::string& name) {
    proto_.set_ir_version(kIrVersion);
    proto_.set_producer_name("inkstone");
    onnx::OperatorSetIdProto& opset = *proto_.add_opset_import();
    opset.set_domain("");
    opset.set_version(options_.opset);
    proto_.mutable_graph()->set_name(name.substr(0, name.rfind('.')));
    Model model{{name, 0, {}, {}, {}}, {}};
    take_inputs(model.file);
    take_nodes(model.file);
    take_outputs(model.file);
    check_model(proto_, known_, name);
    model.bytes = proto_.SerializeAsString();
    return model;
  }

 private:
  void take_inputs(OnnxFile& file) {
    const std::vector<NamedShape> inputs = inputs_of(graph_);
    INKSTONE_CHECK(ports_.inputs.empty() || ports_.inputs.size() == inputs.size(), ports_.inputs.size(),
                   " names for the ", inputs.size(), " inputs of a graph");
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool whole = std::ranges::count(options_.int32_inputs, inputs[i].name) > 0;
      file.inputs.push_back({ports_.inputs.empty() ? inputs[i].name : ports_.inputs[i], inputs[i].shape,
                             whole ? DType::kI32 : build_.floating(inputs[i].type)});
      declare(*proto_.mutable_graph()->add_input(), file.inputs.back());
    }
  }

  void take_nodes(const OnnxFile& file) {
    values_.resize(graph_.nodes().size());
    size_t next = 0;
    for (size_t id = 0; id < values_.size(); ++id) {
      const Node& node = graph_.nodes()[id];
      values_[id] = {"", node.shape, type_of(node)};
      if (std::holds_alternative<op::Input>(node.op)) {
        values_[id] = file.inputs[next++];
      } else if (!std::holds_alternative<op::Weight>(node.op)) {
        build_.begin(static_cast<int>(id));
        values_[id].name = write_node(Call(build_, graph_, node, values_));
        known_.emplace(values_[id].name, values_[id]);
      }
    }
  }

  // What only moves elements keeps the type that its input has in the file.
  DType type_of(const Node& node) const {
    const bool moves = std::holds_alternative<op::Repeat>(node.op) || std::holds_alternative<op::Reshape>(node.op) ||
                       std::holds_alternative<op::Concat>(node.op) || std::holds_alternative<op::Slice>(node.op);
    return moves ? values_[node.inputs[0]].type : build_.floating(node.type);
  }

  void take_outputs(OnnxFile& file) {
    const std::vector<int>& outputs = graph_.outputs();
    INKSTONE_CHECK(ports_.outputs.empty() || ports_.outputs.size() == outputs.size(), ports_.outputs.size(),
                   " names for the ", outputs.size(), " outputs of a graph");
    std::set<std::string> ports;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Node& node = graph_.node(outputs[i]);
      const std::string name = !ports_.outputs.empty() ? ports_.outputs[i]
                               : outputs.size() == 1   ? "out"
                                                       : "out" + std::to_string(i);
      file.outputs.push_back({name, node.shape, values_[outputs[i]].type});
      declare(*proto_.mutable_graph()->add_output(), file.outputs.back());
      name_result(*proto_.mutable_graph(), values_[outputs[i]].name, name, ports);
    }
  }

  const Graph& graph_;
  const OnnxPorts& ports_;
  const OnnxOptions& options_;
  onnx::ModelProto proto_;
  Build build_;
  std::vector<OnnxPort> values_;  // of each node
  KnownPorts known_;
};

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

struct OnnxExport::State {
  OnnxOptions options;
  WeightFile weights;
  std::vector<Model> models;
};

OnnxExport::OnnxExport(const Weights& weights, OnnxOptions options, std::string weights_name) {
  INKSTONE_CHECK_USAGE(options.opset >= 14 && options.opset <= 17, "opset ", options.opset,
                       ": must be from 14 to 17, which Ascend's ATC takes");
  INKSTONE_CHECK_USAGE(options.type == DType::kF32 || options.type == DType::kF16, "an ONNX file in ",
                       name_of(options.type), ": must be in fp32 or fp16");
  INKSTONE_CHECK_USAGE(options.attention_heads >= 0, "attention sliced into ", options.attention_heads, " heads");
  const DType type = options.type;
  state_ = std::make_unique<State>(State{std::move(options), WeightFile(weights, type, std::move(weights_name)), {}});
}

OnnxExport::~OnnxExport() = default;

void OnnxExport::add(const Graph& graph, const OnnxPorts& ports, const std::string& name) {
  verify(graph);
  state_->models.push_back(Exporter(graph, ports, state_->options, state_->weights).write(name));
}

std::vector<OnnxFile> OnnxExport::write(const std::filesystem::path& folder) {
  const WeightFile& weights = state_->weights;
  OnnxFile data{weights.name(), weights.bytes(), weights.write(folder), {}, {}};
  std::vector<OnnxFile> files;
  for (Model& model : state_->models) {
    model.file.bytes = model.bytes.size();
    model.file.sha256 = sha256(model.bytes);
    write_file(folder / model.file.name, bytes_of(model.bytes));
    files.push_back(model.file);
  }
  files.push_back(std::move(data));
  return files;
}

void export_onnx(const Graph& graph, const Weights& weights, const OnnxOptions& options,
                 const std::filesystem::path& path) {
  OnnxExport all(weights, options, path.stem().string() + ".bin");
  all.add(graph, {}, path.filename().string());
  all.write(path.parent_path());
}

}  // namespace inkstone
