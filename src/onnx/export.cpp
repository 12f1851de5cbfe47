#include "onnx/export.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "onnx/build.h"
#include "onnx/check.h"

namespace inkstone {
namespace {

using namespace onnx_export;

// For opset 17; ATC takes at most 9.
constexpr int kIrVersion = 8;

template <typename... Ops>
bool is_one_of(const Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

bool moves_elements(const Op& op) { return is_one_of<op::Repeat, op::Reshape, op::Concat, op::Slice>(op); }
bool is_norm(const Op& op) { return is_one_of<op::GroupNorm, op::GroupStats, op::GroupApply>(op); }

// The nodes that have another number of rows in `other`; nothing else may differ.
std::vector<bool> varying_rows(const Graph& graph, const Graph* other) {
  std::vector<bool> varies(graph.nodes().size());
  if (!other) return varies;
  INKSTONE_CHECK(other->nodes().size() == varies.size(), "the same graph for other rows has ", other->nodes().size(),
                 " nodes, not ", varies.size());
  for (size_t id = 0; id < varies.size(); ++id) {
    const Node &one = graph.nodes()[id], &two = other->nodes()[id];
    Shape shape = two.shape;
    if (!shape.empty() && shape.size() == one.shape.size())
      varies[id] = std::exchange(shape[0], one.shape[0]) != shape[0];
    INKSTONE_CHECK(shape == one.shape && one.inputs == two.inputs && name_of(one.op) == name_of(two.op),
                   "a graph differs by more than its rows from the same for other rows: ",
                   print(one, static_cast<int>(id)), " and ", print(two, static_cast<int>(id)));
  }
  return varies;
}

// Values that only time embeddings read. They stay fp32, because fp16 cannot hold a timestep.
std::vector<bool> read_by_time_alone(const Graph& graph) {
  std::vector<bool> time(graph.nodes().size(), true);
  for (const int output : graph.outputs()) time[output] = false;
  for (size_t id = time.size(); id-- > 0;) {
    const Node& node = graph.nodes()[id];
    const bool keeps = is_one_of<op::TimeEmbedding>(node.op) || (moves_elements(node.op) && time[id]);
    if (!keeps)
      for (const int input : node.inputs) time[input] = false;
  }
  return time;
}

struct Model {
  OnnxFile file;
  std::string bytes;
};

class Exporter {
 public:
  Exporter(const Graph& graph, const Graph* other, const OnnxPorts& ports, const OnnxOptions& options,
           WeightFile& weights)
      : graph_(graph),
        ports_(ports),
        options_(options),
        varies_(varying_rows(graph, other)),
        build_(options, weights, *proto_.mutable_graph()) {}

  Model write(const std::string& name) {
    proto_.set_ir_version(kIrVersion);
    proto_.set_producer_name("inkstone");
    onnx::OperatorSetIdProto& opset = *proto_.add_opset_import();
    opset.set_domain("");
    opset.set_version(options_.opset);
    proto_.mutable_graph()->set_name(name.substr(0, name.rfind('.')));
    Model model;
    model.file.name = name;
    take_inputs(model.file);
    take_nodes(model.file);
    take_outputs(model.file);
    for (const onnx::NodeProto& node : proto_.graph().node()) model.file.nodes.push_back(node.name());
    check_model(proto_, known_, name);
    model.bytes = proto_.SerializeAsString();
    return model;
  }

 private:
  OnnxPort port_of(const std::string& name, size_t id, DType type) const {
    OnnxPort port{name, graph_.nodes()[id].shape, type};
    if (varies_[id]) port.shape[0] = -1;
    return port;
  }

  // One symbol for each multiple of the rows of the first input that varies: "rows", "rows_x2".
  std::string symbol(int64_t rows) {
    if (!rows_) rows_ = rows;
    return rows == rows_ ? "rows" : "rows_x" + std::to_string(rows / rows_);
  }

  void declare(onnx::ValueInfoProto& info, const OnnxPort& port, size_t id) {
    info.set_name(port.name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(onnx_type(port.type));
    // also present if the rank is 0
    auto& shape = *tensor.mutable_shape();
    for (const int64_t size : port.shape)
      if (size >= 0)
        shape.add_dim()->set_dim_value(size);
      else
        shape.add_dim()->set_dim_param(symbol(graph_.nodes()[id].shape[0]));
  }

  void take_inputs(OnnxFile& file) {
    const std::vector<NamedShape> inputs = inputs_of(graph_);
    INKSTONE_CHECK(ports_.inputs.empty() || ports_.inputs.size() == inputs.size(), ports_.inputs.size(),
                   " names for the ", inputs.size(), " inputs of a graph");
    for (size_t id = 0, i = 0; id < graph_.nodes().size(); ++id) {
      const auto* input = std::get_if<op::Input>(&graph_.nodes()[id].op);
      if (!input) continue;
      const bool whole = input->type == DType::kI32 || std::ranges::count(options_.int32_inputs, input->name);
      const std::string& name = ports_.inputs.empty() ? input->name : ports_.inputs[i];
      file.inputs.push_back(port_of(name, id, whole ? DType::kI32 : DType::kF32));
      declare(*proto_.mutable_graph()->add_input(), file.inputs.back(), id);
      ++i;
    }
  }

  std::string cast(const std::string& value, DType type) {
    return build_.node("Cast", {value}, {{"to", static_cast<int64_t>(onnx_type(type))}});
  }

  void take_nodes(OnnxFile& file) {
    const std::vector<bool> time = read_by_time_alone(graph_);
    values_.resize(graph_.nodes().size());
    size_t next = 0;
    for (size_t id = 0; id < values_.size(); ++id) {
      const Node& node = graph_.nodes()[id];
      values_[id] = port_of("", id, type_of(node));
      if (std::holds_alternative<op::Weight>(node.op)) continue;
      build_.begin(static_cast<int>(id), varies_[id]);
      const int before = proto_.graph().node_size();
      if (std::holds_alternative<op::Input>(node.op)) {
        values_[id] = file.inputs[next++];
        if (values_[id].type != DType::kF32 || options_.type == DType::kF32 || time[id]) continue;
        values_[id].type = options_.type;
        values_[id].name = cast(values_[id].name, options_.type);
      } else {
        values_[id].name = write_node(Call(build_, graph_, node, values_));
      }
      known_.emplace(values_[id].name, values_[id]);
      if (is_norm(node.op))
        for (int i = before; i < proto_.graph().node_size(); ++i) file.norms.push_back(proto_.graph().node(i).name());
    }
  }

  // An op that only moves elements keeps the type that its input has in the file.
  DType type_of(const Node& node) const {
    return moves_elements(node.op) ? values_[node.inputs[0]].type : build_.floating(node.type);
  }

  void take_outputs(OnnxFile& file) {
    const std::vector<int>& outputs = graph_.outputs();
    INKSTONE_CHECK(ports_.outputs.empty() || ports_.outputs.size() == outputs.size(), ports_.outputs.size(),
                   " names for the ", outputs.size(), " outputs of a graph");
    for (size_t i = 0; i < outputs.size(); ++i) {
      const OnnxPort& value = values_[outputs[i]];
      const std::string name = !ports_.outputs.empty() ? ports_.outputs[i]
                               : outputs.size() == 1   ? "out"
                                                       : "out" + std::to_string(i);
      const DType type = value.type == DType::kI32 ? value.type : DType::kF32;
      file.outputs.push_back(port_of(name, outputs[i], type));
      declare(*proto_.mutable_graph()->add_output(), file.outputs.back(), outputs[i]);
      if (value.type != type) {
        build_.begin(outputs[i], varies_[outputs[i]]);
        name_result(cast(value.name, type), name);
      } else {
        name_result(value.name, name);
      }
    }
  }

  // A result gets its port's name. If the value already is a port, or no node makes it, a copy gets
  // the name.
  void name_result(const std::string& value, const std::string& port) {
    onnx::GraphProto& graph = *proto_.mutable_graph();
    const auto makes = [&](const onnx::NodeProto& node) { return node.output(0) == value; };
    const auto maker = std::ranges::find_if(graph.node(), makes);
    if (maker == graph.node().end() || !result_ports_.insert(value).second) {
      onnx::NodeProto& copy = *graph.add_node();
      copy.set_name("Identity_" + port);
      copy.set_op_type("Identity");
      copy.add_input(renamed_.contains(value) ? renamed_[value] : value);
      copy.add_output(port);
      return;
    }
    renamed_[value] = port;
    for (onnx::NodeProto& node : *graph.mutable_node()) {
      std::ranges::replace(*node.mutable_input(), value, port);
      std::ranges::replace(*node.mutable_output(), value, port);
    }
  }

  const Graph& graph_;
  const OnnxPorts& ports_;
  const OnnxOptions& options_;
  std::vector<bool> varies_;
  onnx::ModelProto proto_;
  Build build_;
  std::vector<OnnxPort> values_;  // of each node
  KnownPorts known_;
  int64_t rows_ = 0;
  std::set<std::string> result_ports_;
  // Values that are results, with their ports.
  std::map<std::string, std::string> renamed_;
};

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
  add(graph, nullptr, ports, name);
}

void OnnxExport::add_of_any_rows(const Graph& graph, const Graph& other, const OnnxPorts& ports,
                                 const std::string& name) {
  add(graph, &other, ports, name);
}

void OnnxExport::add(const Graph& graph, const Graph* other, const OnnxPorts& ports, const std::string& name) {
  verify(graph);
  state_->models.push_back(Exporter(graph, other, ports, state_->options, state_->weights).write(name));
}

size_t OnnxExport::weight_bytes() const { return state_->weights.bytes(); }

std::vector<OnnxFile> OnnxExport::write(const std::filesystem::path& folder,
                                        const std::function<void(size_t bytes)>& written) {
  const WeightFile& weights = state_->weights;
  OnnxFile data;
  data.name = weights.name();
  data.bytes = weights.bytes();
  data.sha256 = weights.write(folder, written);
  std::vector<OnnxFile> files;
  for (Model& model : state_->models) {
    model.file.bytes = model.bytes.size();
    model.file.sha256 = sha256(model.bytes);
    write_file(folder / model.file.name, std::as_bytes(std::span(model.bytes)));
    files.push_back(model.file);
  }
  files.push_back(std::move(data));
  return files;
}

}  // namespace inkstone
