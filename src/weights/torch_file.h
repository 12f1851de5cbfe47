// What torch.save writes since PyTorch 1.6, read as data: a zip file of stored entries,
// DIR/data.pkl, which is a pickle that describes the tensors, and DIR/data/KEY, the elements of a
// storage, little-endian. Nothing in it is called or imported (pickle.h). A tensor is a view of a
// storage with an offset, sizes and strides; all are checked against what the file holds. The form:
// PyTorch's torch/serialization.py, torch/_utils.py.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "weights/parsed_tensors.h"

namespace inkstone {

// The tensors of the dict that the file holds, or of its "state_dict", "params_ema" or "params"; those of a dict "string_to_param"
// in it as "string_to_param.KEY". Those that overlap themselves, and what is no tensor, come as unread.
// Throws Error naming `source`, the tensor and the numbers. What has to be copied because of its strides
// or as fp8 takes at most twice the file's bytes.
ParsedTensors parse_torch_file(std::span<const std::byte> file, const std::string& source);

}  // namespace inkstone
