#include "app/model_copy.h"

#include <cstring>
#include <stdexcept>

#include "base/json.h"

namespace inkstone {

namespace fs = std::filesystem;

ModelCopy::ModelCopy() {
  const fs::path from = fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model";
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(from)) {
    const fs::path to = path() / fs::relative(entry.path(), from);
    fs::create_directories(entry.is_directory() ? to : to.parent_path());
    if (!entry.is_directory()) fs::create_symlink(entry.path(), to);
  }
}

void ModelCopy::remove(const std::string& name) const { fs::remove_all(fs::path(path()) / name); }

// 8 bytes with the header's length, the header as JSON, the numbers. All bits set are NaN in every format of floats.
std::string with_nan(std::string safetensors, const std::string& tensor) {
  uint64_t length = 0;
  std::memcpy(&length, safetensors.data(), sizeof length);
  const Json header = parse_json(safetensors.substr(8, length), "the header");
  const int64_t offset = header.at(tensor).at("data_offsets").at(0).as_int64();
  if (header.at(tensor).at("dtype").as_string() == "I64") throw std::runtime_error(tensor + " has no floats");
  const size_t at = 8 + length + static_cast<size_t>(offset);
  safetensors.replace(at, 4, 4, '\xff');
  return safetensors;
}

}  // namespace inkstone
