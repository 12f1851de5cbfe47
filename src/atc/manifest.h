// The contents of an export folder. manifest.json names every ONNX file and the `.om` that ATC made
// of it, with everything that is needed to choose and check a file before a device is touched.
// `inkstone export` writes it, the backend `ascend` reads it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "ir/graph.h"

namespace inkstone {

inline constexpr const char* kManifestName = "manifest.json";

// An input or output of a file.
struct Port {
  std::string name;
  Shape shape;  // -1 where the gears differ
  DType type = DType::kF32;
};

struct FileRecord {
  std::string file;  // in the folder
  uint64_t bytes = 0;
  std::string sha256;
};

// One of the shapes that a file can run. A static file has one, a file with gears several.
struct Gear {
  int batch = 1;  // images at once
  // identity() of the graph that it runs.
  std::string graph;
  std::vector<Shape> inputs, outputs;  // one for every port
};

struct Compiled {  // by ATC
  FileRecord om;
  std::string soc, cann;  // "Ascend910B4", "8.1.RC1", as ATC said
  uint64_t work_bytes = 0, weight_bytes = 0;
  std::vector<std::string> command;  // without the program
};

struct GraphRecord {
  // "unet_step_512x512_b1_guided", also the stem of its files
  std::string name;
  std::string component;  // "text_encoder", "unet", "vae_decoder", "vae_encoder"
  // "prompt", "time", "step" of the U-Net; else as the component
  std::string part;
  // of the image; 0: of all sizes
  int width = 0, height = 0;
  // texts for each latent: 2 with guidance
  int cfg_copies = 1;
  // chunks of text that a step takes
  int prompt_chunks = 1;
  // rows of latents in a band; 0: whole
  int vae_tile = 0;
  FileRecord onnx;
  std::string weights;  // the file of its weights
  // of the model's weights that it was made of: Weights::fingerprint
  std::string fingerprint;
  std::vector<Port> inputs, outputs;
  std::vector<Gear> gears;  // by batch, at least one
  // Nodes that would overflow or lose precision in fp16; ATC must keep their type.
  std::vector<std::string> fp32_nodes;
  bool all_fp32 = false;  // these are all of them
  std::optional<Compiled> compiled;
};

struct Manifest {
  std::string inkstone;   // version that wrote it
  std::string model;      // its name
  std::string precision;  // "fp16", "mixed" or "fp32"
  int opset = 17;
  std::vector<FileRecord> weights;
  std::vector<GraphRecord> graphs;

  // Throws Error naming the file and what is missing or wrong in it; paths that leave the folder
  // are refused.
  static Manifest read(const std::filesystem::path& folder);
  // Writes under a temporary name and renames. The same content gives the same bytes.
  void write(const std::filesystem::path& folder) const;
};

// SHA-256 of print(graph). It is equal for two graphs if and only if they are the same, apart from
// the weights' values.
std::string identity(const Graph& graph);

}  // namespace inkstone
