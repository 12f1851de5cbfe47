// The simulator's `.om`: the real 256-byte header (docs/ascend.md), then a text section of lines
// "key=value" that ends with an empty line, then the ONNX model, then the weights (or, with
// external weights, files in "weight/" beside it).
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "interpreter.h"
#include "tensor.h"

namespace ascend_sim {

// A precision mode in what it does to fp16: "fp16", "origin", "mixed_float16" or
// "cube_fp16in_fp32out".
struct Precision {
  std::string mode = "fp16";
  bool saturate = false;
  std::set<std::string> kept_nodes, kept_types;  // these stay in fp32

  Rounding of(const onnx::NodeProto& node) const;
};

enum class GearKind { kNone, kBatch, kImage, kDims };

struct OmPort {
  std::string name;
  int type = kFloat;
  Shape dims;  // -1: by the gear
};

struct OmInfo {
  std::string name, soc, cann, command;
  Precision precision;
  std::vector<OmPort> inputs, outputs;
  GearKind gear_kind = GearKind::kNone;
  // what stands for each -1, in order; for kBatch one number
  std::vector<std::vector<int64_t>> gears;
  uint64_t work_bytes = 0, weight_bytes = 0;
  uint64_t model_at = 0, model_bytes = 0, weights_at = 0;  // in the file
  // while it is written: to fp16's range
  bool clip_weights = true;
  int external_weight = 0;  // as the flag says
  std::string weight_file;  // "" or the combined file

  std::vector<Shape> input_shapes(size_t gear) const;
  size_t largest_gear() const;
};

enum class OmFault { kNone, kPath, kHeader, kSize, kContents };

// Reads what comes before the weights. `why` says what is wrong.
OmFault read_om(const std::filesystem::path& path, OmInfo& info, onnx::ModelProto* model, std::string& why);
OmFault read_om(const void* bytes, size_t size, OmInfo& info, onnx::ModelProto* model, std::string& why);

std::string header_of(const OmInfo& info, uint64_t bytes_after_header);  // 256 bytes
std::string section_of(const OmInfo& info);                              // with its empty line

// Where a weight's bytes are: in the file's weights, or in a file of its own.
struct WeightPlace {
  uint64_t offset = 0, bytes = 0;
  int stored = kFloat;
  std::string file;
};
// false: the tensor holds its data itself
bool place_of(const onnx::TensorProto& tensor, WeightPlace& place);
void set_place(onnx::TensorProto& tensor, const WeightPlace& place);

}  // namespace ascend_sim
