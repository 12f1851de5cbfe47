// The precision flags. What each file names must exist in the model; what ATC does with
// implementation modes is not known.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "atc.h"

namespace ascend_sim {
namespace {

const std::set<std::string> kTypes{"float16", "float32", "bfloat16", "int8", "int16",
                                   "int32",   "int64",   "uint8",    "bool"};

std::string trimmed(std::string text) {
  const auto space = [](unsigned char c) { return std::isspace(c); };
  while (!text.empty() && space(text.back())) text.pop_back();
  text.erase(text.begin(), std::ranges::find_if_not(text, space));
  return text;
}

std::vector<std::string> lines_of(const std::string& flag, const std::string& path) {
  std::ifstream in(path);
  if (!in) invalid_value(flag, path, "The file does not exist or cannot be read.");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (const std::string text = trimmed(line); !text.empty() && text[0] != '#') lines.push_back(text);
  return lines;
}

class Reader {
 public:
  Reader(const AtcFlags& flags, const onnx::GraphProto& graph, Precision& result)
      : flags_(flags), graph_(graph), result_(result) {}

  void keep_dtype() {
    if (!flags_.has("keep_dtype")) return;
    for (const std::string& line : lines_of("keep_dtype", flags_.value("keep_dtype"))) keep("keep_dtype", line);
  }

  void customize_dtypes() {
    const std::string flag = "customize_dtypes";
    if (!flags_.has(flag)) return;
    for (const std::string& line : lines_of(flag, flags_.value(flag))) {
      const size_t in = line.find("InputDtype:"), out = line.find("OutputDtype:", in);
      const size_t end = line.rfind("::", in);
      if (in == std::string::npos || out == std::string::npos || end == std::string::npos || end + 2 != in)
        invalid_value(flag, line, "A line is Name::InputDtype:d1,d2,OutputDtype:d1.");
      const auto inputs = split_text(line.substr(in + 11, out - in - 11), ','),
                 outputs = split_text(line.substr(out + 12), ',');
      bool wide = false;
      for (const auto* all : {&inputs, &outputs})
        for (const std::string& type : *all) {
          if (!kTypes.contains(trimmed(type))) invalid_value(flag, line, "[" + type + "] is no dtype.");
          wide = wide || trimmed(type) == "float32";
        }
      const std::string name = line.substr(0, end);
      for (const auto& node : graph_.node())
        if (node.name() == name && (static_cast<int>(inputs.size()) != node.input_size() ||
                                    static_cast<int>(outputs.size()) != node.output_size()))
          invalid_value(flag, line,
                        "The node has " + std::to_string(node.input_size()) + " inputs and " +
                            std::to_string(node.output_size()) + " outputs.");
      keep(flag, name, wide);
    }
  }

  void op_precision_mode() const {
    const std::string flag = "op_precision_mode";
    if (!flags_.has(flag)) return;
    const std::set<std::string> modes{"high_precision", "high_performance",          "super_performance",
                                      "keep_fp16",      "enable_float_32_execution", "support_out_of_bound_index"};
    std::string section;
    for (const std::string& line : lines_of(flag, flags_.value(flag))) {
      if (line[0] == '[') {
        section = line;
        if (line != "[ByOpType]" && line != "[ByNodeName]") invalid_value(flag, line, "No such section.");
        continue;
      }
      const size_t equal = line.find('=');
      if (section.empty() || equal == std::string::npos || !modes.contains(trimmed(line.substr(equal + 1))))
        invalid_value(flag, line, "A line is Name=mode below [ByOpType] or [ByNodeName].");
      if (section == "[ByNodeName]") find_node(flag, trimmed(line.substr(0, equal)));
    }
  }

  // {"black-list": {"to-add": ["Softmax"], ...}, "white-list": {...}}, of GE operators.
  void modify_mixlist() {
    const std::string flag = "modify_mixlist";
    if (!flags_.has(flag)) return;
    if (result_.mode != "mixed_float16") atc_fail("E10001", "[--modify_mixlist] needs a mixed precision mode.");
    std::string text;
    for (const std::string& line : lines_of(flag, flags_.value(flag))) text += line;
    std::string list, change;
    int depth = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      if (depth < 0) invalid_value(flag, text, "This is no JSON.");
      if (c != '"') continue;
      const size_t end = text.find('"', at + 1);
      if (end == std::string::npos) invalid_value(flag, text, "This is no JSON.");
      const std::string word = text.substr(at + 1, end - at - 1);
      if (depth == 1) list = word;
      if (depth == 2) change = word;
      if (depth == 3) change_list(list, change, word);
      at = end;
    }
    if (depth != 0 || text.empty() || text[0] != '{') invalid_value(flag, text, "This is no JSON.");
  }

 private:
  void change_list(const std::string& list, const std::string& change, const std::string& type) {
    if ((list != "black-list" && list != "white-list") || (change != "to-add" && change != "to-remove"))
      invalid_value("modify_mixlist", list + "/" + change,
                    "Lists are black-list and white-list, with to-add and to-remove.");
    const auto types = onnx_ops_of(type);
    if (types.empty()) invalid_value("modify_mixlist", type, "No such operator.");
    if ((list == "black-list") == (change == "to-add")) result_.kept_types.insert(types.begin(), types.end());
  }

  void find_node(const std::string& flag, const std::string& name) const {
    for (const auto& node : graph_.node())
      if (node.name() == name) return;
    atc_fail("E10016", "Op name [" + name + "] specified in [--" + flag + "] is not found in the model.");
  }

  void keep(const std::string& flag, const std::string& name, bool wide = true) {
    if (!name.starts_with("OpType::")) {
      find_node(flag, name);
      if (wide) result_.kept_nodes.insert(name);
      return;
    }
    const auto types = onnx_ops_of(name.substr(8));
    if (types.empty()) invalid_value(flag, name, "No such operator type.");
    if (wide) result_.kept_types.insert(types.begin(), types.end());
  }

  const AtcFlags& flags_;
  const onnx::GraphProto& graph_;
  Precision& result_;
};

std::string mode_of(const AtcFlags& flags, const Chip& chip) {
  const std::string old = flags.value("precision_mode");
  std::string mode = flags.value("precision_mode_v2", "fp16");
  if (old == "force_fp32" || old == "must_keep_origin_dtype" || old == "allow_fp32_to_fp16") mode = "origin";
  if (old == "cube_fp16in_fp32out") mode = old;
  if (old == "allow_mix_precision" || old == "allow_mix_precision_fp16") mode = "mixed_float16";
  if (old.ends_with("bf16")) mode = "mixed_bfloat16";
  if (mode == "mixed_bfloat16" && !chip.has_bf16())
    atc_fail("E10001", "bf16 precision modes are not supported by " + chip.name + ".");
  if (mode == "mixed_bfloat16" || mode.ends_with("hif8"))
    atc_fail("E10001", "the precision mode " + mode + " is not simulated.");
  return mode;
}

}  // namespace

Precision take_precision(const AtcFlags& flags, const onnx::GraphProto& graph, const Chip& chip) {
  Precision result;
  result.mode = mode_of(flags, chip);
  result.saturate = chip.saturates();
  Reader reader(flags, graph, result);
  reader.keep_dtype();
  reader.customize_dtypes();
  reader.op_precision_mode();
  reader.modify_mixlist();
  return result;
}

}  // namespace ascend_sim
