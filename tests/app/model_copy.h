// The demo model in a folder of its own, of links, so that single files can be spoiled.
#pragma once

#include <string>
#include <string_view>

#include "support/scratch_folder.h"

namespace inkstone {

class ModelCopy {
 public:
  ModelCopy();
  std::string path() const { return (folder_.path() / "model").string(); }
  void write(const std::string& name, std::string_view text) const { folder_.write("model/" + name, text); }
  void remove(const std::string& name) const;
  std::string read(const std::string& name) const { return text_of(folder_.path() / "model" / name); }

 private:
  ScratchFolder folder_;
};

// The safetensors file with the first number of the named tensor turned into NaN.
std::string with_nan(std::string safetensors, const std::string& tensor);

}  // namespace inkstone
