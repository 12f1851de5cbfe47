// Writes a safetensors file (the format: safetensors.h) piece by piece, so that memory does not
// grow with the model.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "weights/weight_view.h"

namespace inkstone {

struct TensorToWrite {
  std::string name;
  WeightView view;
  // In which it is written: F32, F16 or BF16. None: as its values are read, so fp8 as F16.
  std::optional<DType> type = {};
  // What follows the view's elements in the same tensor. They have its type.
  std::vector<WeightView> more = {};
  // Under which it is written, of as many elements as all views have. None: the view's.
  std::optional<Shape> shape = {};
  // A type that is not read, as the format calls it ("I64"): the view's bytes are written as they are.
  std::string other = {};
  // In which the view lies: its pages leave this process's memory when they are written.
  std::shared_ptr<const MappedFile> file = {};
};

Shape shape_of(const TensorToWrite& tensor);
size_t written_bytes(const TensorToWrite& tensor);

struct WriteWatcher {
  std::function<void(size_t bytes)> written = {};  // of all tensors so far
  // Of each piece of 4 million elements the first NaN or infinity, which is written as it is.
  std::function<void(const TensorToWrite& tensor, int64_t element)> not_finite = {};
};

// In this order, but those of larger elements first, so that each is aligned. Takes memory for a
// piece of 16 MiB, and for one tensor at a time of those that are not plain. The file is there when
// it is whole (base/file.h). Throws Error if a name is no UTF-8 text or stands twice, a value is
// more than fp16 holds, or the file cannot be written.
void write_safetensors(const std::filesystem::path& file, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {}, const WriteWatcher& watcher = {});

}  // namespace inkstone
