// What an export folder holds: manifest.json names every ONNX file and the `.om` that ATC made of it, with all that is needed
// to choose, check and load one before a device is touched. Written by `inkstone export`, read by the backend `ascend`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "ir/graph.h"

namespace inkstone {

inline constexpr const char* kManifestName = "manifest.json";

struct Port {  // an input or output of a file
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
  int batch = 1;                       // images at once
  std::string graph;                   // identity() of the graph whose program this is
  std::vector<Shape> inputs, outputs;  // of every port
};

struct Compiled {  // by ATC
  FileRecord om;
  std::string soc, cann;  // "Ascend910B4", "8.1.RC1", as ATC said
  uint64_t work_bytes = 0, weight_bytes = 0;
  std::vector<std::string> command;  // without the program
};

struct GraphRecord {
  std::string name;           // "unet_step_512x512_b1_guided", also the stem of its files
  std::string component;      // "text_encoder", "unet", "vae_decoder", "vae_encoder"
  std::string part;           // "prompt", "time", "step" of the U-Net; else as the component
  int width = 0, height = 0;  // of the image; 0: of all sizes
  int copies = 1;             // texts for each latent: 2 with guidance
  int vae_tile = 0;           // rows of latents in a band; 0: whole
  FileRecord onnx;
  std::string weights;      // the file of its weights
  std::string fingerprint;  // of the model's weights that it was made of: Weights::fingerprint
  std::vector<Port> inputs, outputs;
  std::vector<Gear> gears;              // by batch, at least one
  std::vector<std::string> fp32_nodes;  // overflow or lose their meaning in fp16: "keep their type" for ATC
  std::optional<Compiled> compiled;
};

struct Manifest {
  std::string inkstone;   // version that wrote it
  std::string model;      // its name
  std::string precision;  // "fp16", "mixed" or "fp32"
  int opset = 17;
  std::vector<FileRecord> weights;
  std::vector<GraphRecord> graphs;

  // Throws Error naming the file and what is missing or wrong in it; paths that leave the folder are refused.
  static Manifest read(const std::filesystem::path& folder);
  void write(const std::filesystem::path& folder) const;  // beside, then renamed; the same bytes for the same content
};

// The same for two graphs exactly when they say the same, weights aside: SHA-256 of print(graph).
std::string identity(const Graph& graph);

}  // namespace inkstone
