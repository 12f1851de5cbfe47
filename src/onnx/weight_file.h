// External data: the weights of one component, one after another, each at a multiple of 4096 bytes
// so that it can be mapped. A tensor's offset is known when it is placed. The numbers are read,
// converted and written one tensor at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weights/weights.h"

namespace inkstone::onnx_export {

enum class Layout {
  kAsStored,
  // A matrix [out, in], stored as [in, out].
  kTransposed
};

struct Place {
  size_t offset = 0, bytes = 0;
};

class WeightFile {
 public:
  WeightFile(const Weights& weights, DType type, std::string name);

  const std::string& name() const { return name_; }
  DType type() const { return type_; }
  Place place(const std::string& weight, Layout layout);  // equal ones are stored once
  size_t bytes() const { return bytes_; }
  // Returns the file's SHA-256. `written` is called after each tensor with the bytes so far.
  std::string write(const std::filesystem::path& folder, const std::function<void(size_t bytes)>& written) const;

 private:
  struct Entry {
    std::string weight;
    Layout layout;
    Place place;
  };

  const Weights& weights_;
  DType type_;
  std::string name_;
  std::vector<Entry> entries_;
  std::map<std::pair<std::string, Layout>, size_t> by_weight_;
  size_t bytes_ = 0;
};

}  // namespace inkstone::onnx_export
