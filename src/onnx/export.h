// Graphs as ONNX files that Ascend's ATC takes: static shapes, only the node forms that docs/ascend.md allows, the weights in one
// file beside them that all files of a component share. The same graphs, weights and options give the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "weights/weights.h"

namespace inkstone {

struct OnnxOptions {
  int opset = 17;            // 14 to 17
  DType type = DType::kF32;  // of all floating values, or kF16; casts between floating types become nothing
  int attention_heads = 0;   // computed at a time; 0: all
  std::vector<std::string> int32_inputs;  // fp32 inputs that hold whole numbers and are taken as int32: "timestep"
};

struct OnnxPorts {                   // empty: the graph's own names, and "out", or "out0", "out1", ...
  std::vector<std::string> inputs;   // in the order of inputs_of(graph)
  std::vector<std::string> outputs;  // in that of graph.outputs()
};

struct OnnxPort {
  std::string name;
  Shape shape;
  DType type = DType::kF32;
};

struct OnnxFile {
  std::string name;  // in the folder
  uint64_t bytes = 0;
  std::string sha256;                     // in hexadecimal
  std::vector<OnnxPort> inputs, outputs;  // of a graph
};

// One component: several graphs over the same weights.
class OnnxExport {
 public:
  // `weights_name` is the file of the weights: "unet.bin". Throws UsageError for options that ATC does not take. The weights outlive it.
  OnnxExport(const Weights& weights, OnnxOptions options, std::string weights_name);
  ~OnnxExport();

  // `name` is the file to be: "unet_step_512x512_b1.onnx". Throws Error where the checker or shape inference of ONNX's
  // own library disagrees with the graph.
  void add(const Graph& graph, const OnnxPorts& ports, const std::string& name);

  // The weights, streamed, then each graph; every file is written beside and renamed. The weights are the last entry. Throws
  // Error naming the tensor and the element that the type cannot hold.
  std::vector<OnnxFile> write(const std::filesystem::path& folder);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One graph alone: `path` and, beside it, its weights with the ending .bin.
void export_onnx(const Graph& graph, const Weights& weights, const OnnxOptions& options,
                 const std::filesystem::path& path);

}  // namespace inkstone
