// Any bytes are a header or an Error that names the file; what is set right first would stay unseen
// otherwise.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "atc/om_file.h"
#include "base/error.h"

namespace {

void parse(const std::string& bytes) {
  try {
    const inkstone::OmHeader header =
        inkstone::parse_om_header(std::as_bytes(std::span(bytes)), bytes.size(), "fuzz.om");
    if (header.model_bytes + inkstone::kOmHeaderBytes != bytes.size() || header.name.size() > 32) std::abort();
  } catch (const inkstone::Error& error) {
    const std::string_view what = error.what();
    if (!what.starts_with("fuzz.om") || what.find('\n') != what.npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  parse(bytes);
  if (bytes.size() < inkstone::kOmHeaderBytes) return 0;
  bytes.replace(0, 8, std::string("IMOD\0\1\0\0", 8));
  bytes[80] = 0;
  parse(bytes);
  return 0;
}
