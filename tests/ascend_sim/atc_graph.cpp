// What ATC's ONNX parser takes: the table of registered operators, versions, and the node forms
// that are known to fail.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "atc.h"

namespace ascend_sim {

extern const char* const kOnnxTable;

namespace {

constexpr int kNewestIr = 9;

std::vector<std::pair<int, int>> ranges_of(const std::string& text) {  // "1,8-18"
  std::vector<std::pair<int, int>> ranges;
  for (const std::string& part : split_text(text, ',')) {
    const size_t dash = part.find('-');
    const int first = std::stoi(part);
    ranges.emplace_back(first, dash == std::string::npos ? first : std::stoi(part.substr(dash + 1)));
  }
  return ranges;
}

bool registered(const std::string& type, const std::string& domain, int opset) {
  const auto [begin, end] = registered_ops().equal_range(type);
  for (auto row = begin; row != end; ++row)
    if (row->second.domain == domain)
      for (const auto& [first, last] : row->second.opsets)
        if (opset >= first && opset <= last) return true;
  return false;
}

std::map<std::string, int> opsets_of(const onnx::ModelProto& model) {
  std::map<std::string, int> opsets;
  for (const auto& import : model.opset_import()) {
    const std::string domain = import.domain().empty() ? "ai.onnx" : import.domain();
    if (opsets.contains(domain)) atc_fail("E16005", "The model has several opset versions for domain[" + domain + "].");
    opsets[domain] = static_cast<int>(import.version());
  }
  return opsets;
}

const onnx::AttributeProto* attribute(const onnx::NodeProto& node, const std::string& name) {
  for (const auto& a : node.attribute())
    if (a.name() == name) return &a;
  return nullptr;
}

class Checker {
 public:
  Checker(const onnx::ModelProto& model, const std::filesystem::path& folder, const Precision& precision)
      : model_(model), folder_(folder), precision_(precision), opsets_(opsets_of(model)) {}

  std::vector<std::string> run() {
    if (model_.ir_version() > kNewestIr)
      atc_fail("E16001", "ir_version " + std::to_string(model_.ir_version()) + " of the model is newer than " +
                             std::to_string(kNewestIr) + ".");
    for (const auto& weight : model_.graph().initializer()) {
      check_weight(weight);
      constants_.insert({weight.name(), &weight});
    }
    std::set<std::string> names;
    for (const auto& node : model_.graph().node()) {
      check_registered(node);
      if (!node.name().empty() && !names.insert(node.name()).second)
        atc_fail("E19999", "Two nodes are called [" + node.name() + "].");
      if (const auto* value = attribute(node, "value"); node.op_type() == "Constant" && value) {
        constants_.insert({node.output(0), &value->t()});
        check_range(value->t(), node.output(0));
      }
      check_form(node);
    }
    return warnings_;
  }

 private:
  void check_registered(const onnx::NodeProto& node) const {
    const std::string domain = node.domain().empty() ? "ai.onnx" : node.domain();
    const auto opset = opsets_.find(domain);
    if (opset == opsets_.end()) atc_fail("E19999", "The opset of domain[" + domain + "] has no responding version.");
    if (!registered(node.op_type(), domain, opset->second))
      atc_fail("E16002", "No ONNX parser is registered for optype " + domain + "::" + std::to_string(opset->second) +
                             "::" + node.op_type() + ".");
  }

  void check_weight(const onnx::TensorProto& weight) {
    if (weight.data_location() == onnx::TensorProto::EXTERNAL) external_data(weight, folder_);
    if (weight.data_type() == kBfloat16 && precision_.saturate)
      atc_fail("EZ3003", "No supported Ops kernel and engine are found for bf16 weight [" + weight.name() + "].");
    if (!bytes_of(weight.data_type()))
      atc_fail("E19999", "Weight [" + weight.name() + "] has ONNX type " + std::to_string(weight.data_type()) + ".");
    check_range(weight, weight.name());
  }

  void check_range(const onnx::TensorProto& tensor, const std::string& name) {
    const Shape dims(tensor.dims().begin(), tensor.dims().end());
    if (precision_.mode == "origin" || tensor.data_type() != kFloat ||
        tensor.data_location() == onnx::TensorProto::EXTERNAL)
      return;
    const Tensor values = tensor_of(tensor);
    for (int64_t i = 0; i < values.count(); ++i)
      if (std::fabs(values.floats[i]) > 65504) {
        warnings_.push_back("constant [" + name + "] holds " + std::to_string(values.floats[i]) +
                            ", which fp16 does not: it becomes infinite or 65504.");
        return;
      }
  }

  [[noreturn]] void refuse(const onnx::NodeProto& node, const std::string& code, const std::string& why) const {
    atc_fail(code, "Operator [" + node.name() + "], optype [" + node.op_type() + "]: " + why);
  }

  void constant_input(const onnx::NodeProto& node, int i) {
    if (i < node.input_size() && !node.input(i).empty() && !constants_.contains(node.input(i)))
      warnings_.push_back("input " + std::to_string(i) + " of [" + node.name() + "] is no constant.");
  }

  bool all_ones(const std::string& name) const {
    const auto constant = constants_.find(name);
    if (constant == constants_.end()) return false;
    const Tensor t = weight_for_shapes(*constant->second, folder_);
    if (!t.known() || is_floating(t.type)) return false;
    return std::all_of(t.ints.get(), t.ints.get() + t.count(), [](int64_t v) { return v == 1; });
  }

  void check_form(const onnx::NodeProto& node) {
    const std::string& type = node.op_type();
    const int opset = opsets_.at("ai.onnx");
    if (type == "Conv" && node.attribute_size() == 0) refuse(node, "E19999", "a Conv needs at least one attribute.");
    if (type == "ConvTranspose" && !attribute(node, "kernel_shape")) refuse(node, "E19999", "kernel_shape is missing.");
    if (type == "Concat" && !attribute(node, "axis")) refuse(node, "E19999", "the axis is missing.");
    if (type == "Resize") check_resize(node);
    if (type == "Reshape" || type == "Expand" || type == "Tile") constant_input(node, 1);
    if (type == "Slice" && opset >= 10) {
      for (int i = 1; i < 4; ++i) constant_input(node, i);
      if (node.input_size() > 4 && all_ones(node.input(4)))
        refuse(node, "E20001", "compilation failed. Optype is StridedSliceD: leave out steps that are 1.");
    }
    if (type == "Split" && opset >= 13 && opset < 18 && attribute(node, "num_outputs"))
      refuse(node, "E19999", "num_outputs is an attribute of opset 18.");
    if (type == "Split" && opset >= 13 && node.input_size() < 2)
      warnings_.push_back("[" + node.name() + "] has no sizes: ATC splits evenly or fails.");
    if (type.starts_with("Reduce"))
      if (const auto* empty = attribute(node, "noop_with_empty_axes"); empty && empty->i() == 1)
        refuse(node, "E19999", "noop_with_empty_axes is not supported.");
  }

  void check_resize(const onnx::NodeProto& node) {
    if (node.input_size() < 3) refuse(node, "E19999", "a Resize needs x, roi and scales, or sizes after them.");
    for (const char* name : {"antialias", "axes", "keep_aspect_ratio_policy"})
      if (attribute(node, name)) refuse(node, "E19999", std::string(name) + " is not honoured.");
    const auto* mode = attribute(node, "mode");
    if (mode && mode->s() != "nearest" && precision_.saturate)
      refuse(node, "EZ3003", "No supported Ops kernel and engine are found.");
    constant_input(node, node.input_size() > 3 ? 3 : 2);
    const auto* way = attribute(node, "coordinate_transformation_mode");
    const auto* nearest = attribute(node, "nearest_mode");
    if (!way || way->s() != "asymmetric" || !nearest || nearest->s() != "floor")
      warnings_.push_back("[" + node.name() + "]: ATC rounds down whatever the modes say; write asymmetric and floor.");
  }

  const onnx::ModelProto& model_;
  const std::filesystem::path& folder_;
  const Precision& precision_;
  std::map<std::string, int> opsets_;
  std::map<std::string, const onnx::TensorProto*> constants_;
  std::vector<std::string> warnings_;
};

}  // namespace

const std::multimap<std::string, Registered>& registered_ops() {
  static const std::multimap<std::string, Registered> rows = [] {
    std::multimap<std::string, Registered> all;
    std::istringstream in(kOnnxTable);
    for (std::string line; std::getline(in, line);) {
      if (line.empty() || line[0] == '#') continue;
      const auto columns = split_text(line, '\t');
      Registered row{columns.at(1), ranges_of(columns.at(2)), {}};
      std::string names = columns.size() > 3 ? columns[3] : "";
      std::ranges::replace(names, '/', ',');
      for (std::string name : split_text(names, ',')) {
        std::erase(name, ' ');
        row.ge_ops.insert(name);
      }
      all.insert({columns[0], row});
    }
    return all;
  }();
  return rows;
}

std::set<std::string> onnx_ops_of(const std::string& ge_op) {
  std::set<std::string> names;
  for (const auto& [name, row] : registered_ops())
    if (name == ge_op || row.ge_ops.contains(ge_op)) names.insert(name);
  if (ge_op.starts_with("Conv2D")) names.insert("Conv");
  if (ge_op.starts_with("MatMul") || ge_op.starts_with("BatchMatMul")) names.insert("MatMul");
  return names;
}

std::vector<std::string> check_graph(const onnx::ModelProto& model, const std::filesystem::path& folder,
                                     const Precision& precision) {
  return Checker(model, folder, precision).run();
}

}  // namespace ascend_sim
