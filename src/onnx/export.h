// Graphs as ONNX files that Ascend's ATC takes: only the node forms that docs/ascend.md allows, the
// weights in one file beside them that all files of a component share. Whatever type a file
// computes in, what goes in and comes out is fp32 or int32. The same graphs, weights and options
// give the same bytes.
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
  // of weights and floating values, or kF16; casts between floating types become nothing
  DType type = DType::kF32;
  int attention_heads = 0;  // computed at a time; 0: all
  // fp32 inputs that hold whole numbers and are taken as int32: "timestep"
  std::vector<std::string> int32_inputs;
};

// empty: the graph's own names, and "out", or "out0", "out1", ...
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
  // names of all nodes, and of those that group norms are made of
  std::vector<std::string> nodes, norms;
};

// One component: several graphs over the same weights.
class OnnxExport {
 public:
  // `weights_name` is the file of the weights: "unet.bin". Throws UsageError for options that ATC
  // does not take. The weights outlive it.
  OnnxExport(const Weights& weights, OnnxOptions options, std::string weights_name);
  ~OnnxExport();

  // `name` is the file to be: "unet_step_512x512_b1.onnx". Throws Error where the checker or shape
  // inference of ONNX's own library disagrees with the graph.
  void add(const Graph& graph, const OnnxPorts& ports, const std::string& name);
  // The same for any number of rows: `other` is the graph for another number, and what differs
  // between the two becomes a symbolic first dimension. Both numbers are at least 2, so that
  // nothing fits by chance.
  void add_of_any_rows(const Graph& graph, const Graph& other, const OnnxPorts& ports, const std::string& name);

  size_t weight_bytes() const;  // of the file to be written
  // The weights, streamed, then each graph; every file is written beside and renamed. The weights
  // are the last entry. Throws Error naming the tensor and the element that the type cannot hold.
  // `written` is told how many bytes of the weights are there.
  std::vector<OnnxFile> write(const std::filesystem::path& folder,
                              const std::function<void(size_t bytes)>& written = {});

 private:
  void add(const Graph& graph, const Graph* other, const OnnxPorts& ports, const std::string& name);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace inkstone
