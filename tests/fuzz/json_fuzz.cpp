// Any text is a document or an Error; a document that is written out reads back as itself.
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const inkstone::Json json = inkstone::parse_json(text, "fuzz.json");
    const std::string written = boost::json::serialize(json);
    // Boost writes a double with up to 17 digits, so one round settles it.
    const std::string again = boost::json::serialize(inkstone::parse_json(written, "written.json"));
    if (written.size() != again.size()) std::abort();
  } catch (const inkstone::Error& error) {
    const std::string_view what = error.what();
    if (!what.starts_with("fuzz.json:") || what.find('\n') != what.npos) std::abort();
  }
  return 0;
}
