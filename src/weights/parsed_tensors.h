// The tensors of a file of weights, in whichever form it is: told by its first bytes, not by its
// name.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weights/weight_view.h"

namespace inkstone {

// A tensor of whole numbers, or of another type that is not read, as the file holds it: row-major.
struct OtherTensor {
  std::string name, type;  // the type as safetensors calls it: "I64"
  Shape shape;
  std::span<const std::byte> bytes;
};

struct ParsedTensors {
  // F32, F16, BF16, and fp8, which is read as F16
  std::vector<WeightView> tensors;
  // what else has a name: its name, its type
  std::vector<std::pair<std::string, std::string>> unread;
  std::vector<OtherTensor> others;  // of those the tensors, but for the odd ones of PyTorch's (strides)
  // Of those in a safetensors file, the single whole numbers and fp64 numbers: adapters keep
  // settings so.
  std::vector<std::pair<std::string, double>> numbers;
  std::map<std::string, std::string> metadata;  // a safetensors file's own, of texts
};

// Of a safetensors file (safetensors.h) or of what torch.save writes (torch_file.h). Refuses other
// files by what they are, and weights that need a scale for each tensor. Throws Error naming
// `source`.
ParsedTensors parse_tensors(std::span<const std::byte> file, const std::string& source);

}  // namespace inkstone
