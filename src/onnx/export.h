// Writes graphs as ONNX files for Ascend's ATC, with only the node forms that docs/ascend.md lists.
// All files of a component share one file of weights. Inputs and outputs are fp32 or int32,
// whatever type a file computes in. The same graphs, weights and options give the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "weights/weights.h"

namespace inkstone {

struct OnnxOptions {
  int opset = 17;  // 14 to 17
  // The type of weights and floating values: kF32 or kF16. Casts between floating types are
  // dropped.
  DType type = DType::kF32;
  int attention_heads = 0;  // computed at a time; 0: all
  // fp32 inputs that hold whole numbers and become int32: "timestep".
  std::vector<std::string> int32_inputs;
};

// Names of inputs and outputs. If empty: the graph's own names, and "out", or "out0", "out1", ...
struct OnnxPorts {
  std::vector<std::string> inputs;   // in the order of inputs_of(graph)
  std::vector<std::string> outputs;  // in that of graph.outputs()
};

struct OnnxPort {
  std::string name;
  Shape shape;  // -1: any number of rows
  DType type = DType::kF32;
};

struct OnnxFile {
  std::string name;  // in the folder
  uint64_t bytes = 0;
  std::string sha256;                     // in hexadecimal
  std::vector<OnnxPort> inputs, outputs;  // of a graph
  // Names of all nodes, and of those that come from group norms.
  std::vector<std::string> nodes, norms;
};

// One component: several graphs over the same weights.
class OnnxExport {
 public:
  // `weights_name` is the file of the weights: "unet.bin". Throws UsageError for options that ATC
  // does not take. The weights outlive it.
  OnnxExport(const Weights& weights, OnnxOptions options, std::string weights_name);
  ~OnnxExport();

  // `name` is the file's: "unet_step_512x512_b1.onnx". Throws Error if the checker or the shape
  // inference of ONNX's own library disagrees with the graph.
  void add(const Graph& graph, const OnnxPorts& ports, const std::string& name);
  // As add(), for any number of rows. `other` is the graph for another number of rows; sizes that
  // differ between the two become a symbolic first dimension. Both numbers are at least 2, so that
  // no size is equal by chance.
  void add_of_any_rows(const Graph& graph, const Graph& other, const OnnxPorts& ports, const std::string& name);

  size_t weight_bytes() const;  // of the file to be written
  // Writes the weights, one tensor at a time, then each graph; every file has a temporary name
  // until it is complete. The weights are the last entry. Throws Error naming the tensor and the
  // element if the type cannot hold one. `written` is called with the bytes of weights written so
  // far.
  std::vector<OnnxFile> write(const std::filesystem::path& folder,
                              const std::function<void(size_t bytes)>& written = {});

 private:
  void add(const Graph& graph, const Graph* other, const OnnxPorts& ports, const std::string& name);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace inkstone
