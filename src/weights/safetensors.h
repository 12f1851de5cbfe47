// The safetensors format: 8 bytes of little-endian header length, a JSON header
//   {"NAME": {"dtype": "F16", "shape": [320, 4, 3, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {...}}
// and the tensors' bytes, one after the other without a gap. Everything in the header is checked
// before it is used.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "weights/parsed_tensors.h"

namespace inkstone {

// Views into `file`, in the order of their bytes; throws Error naming `source`, the tensor and the
// numbers. Allocates no more memory than the header's own text needs.
ParsedTensors parse_safetensors(std::span<const std::byte> file, const std::string& source);

struct StoredTensor {
  std::string name;
  Shape shape;
  DType type = DType::kF32;
  std::string other = {};  // if not empty: instead, a type of the format that is not read, such as "I64"
};
// The bytes before the tensors' bytes, padded to 8, for tensors that are written in this order.
// Says {"format": "pt"} of the file, and `metadata`. Throws Error for a name that a reader would
// refuse.
std::string safetensors_header(std::span<const StoredTensor> tensors,
                               const std::map<std::string, std::string>& metadata = {});

}  // namespace inkstone
