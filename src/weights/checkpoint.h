// A single file that holds the weights of several components, under names of its own. Opening reads
// its header, no numbers.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weights/weights.h"

namespace inkstone {

// A tensor of the file, or one of the equal parts of its rows, or a matrix with rows and columns
// exchanged, which is copied.
struct StoredName {
  std::string name;
  int part = 0, parts = 1;
  bool transposed = false;
};

class Checkpoint {
 public:
  // A safetensors file, or one of torch.save (.ckpt, .pt, .pth, .bin), which is read as data:
  // nothing in it is run. Throws Error naming the file and what is wrong.
  explicit Checkpoint(const std::filesystem::path& file);

  const Shape* shape_of(const std::string& name) const;  // nullptr where there is no such tensor
  // Also a tensor without elements, as markers are, and one whose type is not read.
  bool has(const std::string& name) const;
  bool has_prefix(const std::string& prefix) const;
  const std::map<std::string, WeightView>& tensors() const { return tensors_; }
  // Of tensors that are not read: the element type, and the value if it is a single number.
  const std::map<std::string, std::string>& unread() const { return unread_; }
  const std::map<std::string, double>& numbers() const { return numbers_; }
  const std::vector<OtherTensor>& others() const { return others_; }  // of those, the tensors as they lie in the file
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::shared_ptr<const MappedFile>& file() const { return file_; }

  // The weights of one component, bound to its specs. `names` gives the names that the file may
  // have for a spec's name; the first that is there counts. Throws as Weights::bind().
  using Names = std::function<std::vector<StoredName>(const std::string& spec)>;
  Weights take(std::span<const WeightSpec> specs, const Names& names) const;
  Weights find(std::span<const WeightSpec> specs, const Names& names) const;  // the same, not bound

 private:
  // The part as a view; one that cannot be keeps the whole shape, which bind() then refuses.
  static WeightView view_of(const WeightView& whole, const StoredName& stored);

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, WeightView> tensors_;
  std::map<std::string, std::string> unread_;
  std::map<std::string, double> numbers_;
  std::vector<OtherTensor> others_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace inkstone
