// A model or another file of weights in another form: one file, or a folder in diffusers' layout. Files are read as
// data, nothing in them is run.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "diffusion/model_settings.h"

namespace inkstone {

struct ConvertOrder {
  std::filesystem::path in;
  // A file, if its name ends with .safetensors; else a folder, which must not be there, or be empty.
  std::filesystem::path out;
  std::optional<DType> type;           // F32, F16 or BF16; none: as the values are read, so fp8 as F16
  std::optional<std::string> variant;  // of a folder's weights (Weights::open)
  std::map<std::string, std::filesystem::path> replaced;  // what stands in for components
  ModelSettings said = {};                                // nearer than what the files say
};

struct Converted {
  std::string what;  // "SDXL, a folder", "the same 1,131 tensors"
  size_t tensors = 0, bytes = 0;
  std::vector<std::string> left_out;  // tensors of the input that are not in the result
  std::vector<std::string> notes;     // what the user should know
};

struct ConvertWatcher {
  // The work begins: so many bytes will be written.
  std::function<void(size_t bytes)> planned = [](size_t) {};
  std::function<void(size_t bytes)> written = [](size_t) {};  // so far
};

// Throws Error or UsageError naming the file and the tensor. The result is there when it is whole. Memory: one tensor at a time;
// what is read and written is mapped or goes through in pieces.
Converted convert(const ConvertOrder& order, const ConvertWatcher& watcher);

}  // namespace inkstone
