#include "app/model_copy.h"

#include <cstring>
#include <stdexcept>

#include "base/json.h"

namespace inkstone {

namespace fs = std::filesystem;

ModelCopy::ModelCopy() {
  fs::copy(fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model", path(),
           fs::copy_options::recursive | fs::copy_options::create_symlinks);
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
