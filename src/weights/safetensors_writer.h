// Writes a safetensors file (the format: safetensors.h) piece by piece, so that memory does not
// grow with the model.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "weights/weight_view.h"

namespace inkstone {

struct TensorToWrite {
  std::string name;
  WeightView view;
  // In which it is written: F32, F16 or BF16. None: as its values are read, so fp8 as F16.
  std::optional<DType> type = {};
};

// In this order, but those of larger elements first, so that each is aligned. Takes memory for a
// piece of 16 MiB, and for one tensor at a time of those that are not plain. The file is there when
// it is whole (base/file.h). Throws Error if a name is no UTF-8 text or stands twice, a value is
// more than fp16 holds, or the file cannot be written. `written` hears of all bytes of tensors so
// far.
void write_safetensors(const std::filesystem::path& file, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {},
                       const std::function<void(size_t bytes)>& written = {});

}  // namespace inkstone
