#include "atc/command.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr size_t kMinGears = 2, kMaxGears = 100, kMaxDims = 4, kMaxSizes = 128;  // of --dynamic_dims
constexpr uint64_t kMaxInnerWeights = uint64_t{2} << 30;

std::string joined(const Shape& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return text;
}

// ATC splits the value at these characters, so a name that contains one would be misread.
void check_names(const GraphRecord& graph) {
  for (const Port& port : graph.inputs)
    INKSTONE_CHECK(!port.name.empty() && port.name.find_first_of(":;,\"'= \n\t") == std::string::npos, graph.onnx.file,
                   ": the input ", shown(port.name), " has a name that ATC's --input_shape cannot hold");
}

void check_port(const GraphRecord& graph, const Port& port, const Shape& shape, size_t gear) {
  const bool of_gears = graph.gears.size() > 1;
  INKSTONE_CHECK(shape.size() == port.shape.size(), graph.onnx.file, ": gear ", gear, " gives ", shown(port.name), " ",
                 to_string(shape), ", its port is ", to_string(port.shape));
  INKSTONE_CHECK(!of_gears || (!shape.empty() && shape.size() <= kMaxDims), graph.onnx.file, ": ", shown(port.name),
                 " has ", shape.size(), " dimensions; files with gears take 1 to ", kMaxDims,
                 ": export one file for each batch");
  for (size_t i = 0; i < shape.size(); ++i) {
    INKSTONE_CHECK(shape[i] > 0, graph.onnx.file, ": gear ", gear, " gives ", shown(port.name), " ", to_string(shape));
    INKSTONE_CHECK(port.shape[i] == shape[i] || (of_gears && port.shape[i] == -1), graph.onnx.file, ": gear ", gear,
                   " gives ", shown(port.name), " ", to_string(shape), ", its port is ", to_string(port.shape));
  }
}

std::string values_of(const GraphRecord& graph, const Gear& gear) {
  std::string values;
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    for (size_t axis = 0; axis < graph.inputs[i].shape.size(); ++axis)
      if (graph.inputs[i].shape[axis] == -1)
        values += (values.empty() ? "" : ",") + std::to_string(gear.inputs[i][axis]);
  return values;
}

std::string dynamic_dims(const GraphRecord& graph) {
  INKSTONE_CHECK(graph.gears.size() >= kMinGears && graph.gears.size() <= kMaxGears, graph.onnx.file, ": ",
                 graph.gears.size(), " gears; ATC takes ", kMinGears, " to ", kMaxGears, " in a file");
  size_t sizes = 0;
  for (const Port& port : graph.inputs) sizes += port.shape.size();
  INKSTONE_CHECK_USAGE(sizes <= kMaxSizes, graph.onnx.file, ": its inputs have ", sizes,
                       " sizes in all, and AscendCL chooses a gear by at most ", kMaxSizes,
                       ": export without --gears, a file for each batch");
  std::string text;
  std::set<std::string> seen;
  for (const Gear& gear : graph.gears) {
    const std::string values = values_of(graph, gear);
    INKSTONE_CHECK(!values.empty(), graph.onnx.file, ": ", graph.gears.size(), " gears, but no input differs in them");
    INKSTONE_CHECK(seen.insert(values).second, graph.onnx.file, ": two gears are both ", values);
    text += (text.empty() ? "" : ";") + values;
  }
  return text;
}

std::string input_shape(const GraphRecord& graph) {
  std::string text;
  for (const Port& port : graph.inputs) text += (text.empty() ? "" : ";") + port.name + ":" + joined(port.shape);
  return text;
}

std::string precision_mode(const GraphRecord& graph, const AtcTarget& target) {
  INKSTONE_CHECK_USAGE(target.precision != "bf16",
                       "--precision bf16: ", target.soc->bf16 ? "" : target.soc->name + std::string(" has no bf16; "),
                       "exports for Ascend are fp16, mixed or fp32");
  INKSTONE_CHECK_USAGE(target.precision == "fp16" || target.precision == "mixed" || target.precision == "fp32",
                       "--precision ", shown(target.precision), ": exports for Ascend are fp16, mixed or fp32");
  // sines of the timestep are useless in fp16
  if (graph.part == "time" || graph.all_fp32 || target.precision == "fp32") return "origin";
  return target.precision == "fp16" ? "fp16" : "mixed_float16";
}

bool wants_external_weights(const GraphRecord& graph, uint64_t weight_bytes) {
  return weight_bytes > kMaxInnerWeights && graph.part != "time" && graph.part != "prompt";  // these use few of them
}

}  // namespace

AtcCommand atc_command(const GraphRecord& graph, const AtcTarget& target, uint64_t weight_bytes) {
  INKSTONE_CHECK(!graph.gears.empty() && !graph.inputs.empty(), graph.onnx.file, " has no inputs or no gears");
  INKSTONE_CHECK_USAGE(target.host_cpu.empty() || target.host_cpu == "x86_64" || target.host_cpu == "aarch64",
                       "the host's processor is ", shown(target.host_cpu), ": ATC knows x86_64 and aarch64");
  check_names(graph);
  for (size_t gear = 0; gear < graph.gears.size(); ++gear)
    for (size_t i = 0; i < graph.inputs.size(); ++i)
      check_port(graph, graph.inputs[i], graph.gears[gear].inputs.at(i), gear);

  AtcCommand command;
  const std::string mode = precision_mode(graph, target);
  // ND, because our inputs are images, rows and scalars in one file, and gears need ND;
  // convolutions choose their own layout.
  command.flags = {"--framework=5", std::string("--soc_version=") + target.soc->name, "--input_format=ND",
                   "--input_shape=" + input_shape(graph)};
  if (graph.gears.size() > 1) command.flags.push_back("--dynamic_dims=" + dynamic_dims(graph));
  command.flags.push_back("--precision_mode_v2=" + mode);
  command.flags.push_back("--deterministic=1");
  command.flags.push_back("--log=error");
  if (mode != "origin") command.keep = graph.fp32_nodes;  // without effect there
  command.has_external_weights = wants_external_weights(graph, weight_bytes);
  if (command.has_external_weights) command.flags.push_back("--external_weight=1");
  if (!target.host_cpu.empty()) {
    command.flags.push_back("--host_env_os=linux");
    command.flags.push_back("--host_env_cpu=" + target.host_cpu);
  }
  for (const std::string& node : command.keep)
    INKSTONE_CHECK(!node.empty() && node.find_first_of("\r\n") == std::string::npos, graph.onnx.file, ": the node ",
                   shown(node), " cannot stand in a file of --keep_dtype");
  return command;
}

std::vector<std::string> arguments(const AtcCommand& command, const AtcPaths& paths) {
  std::vector<std::string> result{"--model=" + paths.model, "--output=" + paths.output};
  result.insert(result.end(), command.flags.begin(), command.flags.end());
  if (!command.keep.empty()) result.push_back("--keep_dtype=" + paths.keep_dtype);
  return result;
}

std::string keep_dtype_name(const GraphRecord& graph) { return graph.name + ".keep_dtype.cfg"; }

std::string quoted(const std::string& word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./=:,+@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace inkstone
