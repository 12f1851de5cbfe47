// Whatever ATC or a program in its place prints is explained in one bounded line, and read for
// numbers without harm.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "atc/explain.h"
#include "atc/om_info.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const inkstone::AtcExplanation explanation = inkstone::explain_atc(text);
  const std::string line = explanation.text();
  if (explanation.advice.empty() || line.size() > 4000 || line.find_first_of("\r\n") != line.npos) std::abort();
  if (inkstone::atc_warnings(text).size() > 8) std::abort();
  const inkstone::OmInfo info = inkstone::parse_om_info(text);
  for (const inkstone::FileRecord& file : info.files)
    if (file.file.empty() || file.file.front() == '/' || file.file.find("..") != file.file.npos) std::abort();
  const inkstone::OmInfo again = inkstone::parse_om_info(inkstone::own_lines(info));
  if (inkstone::own_lines(again) != inkstone::own_lines(info)) std::abort();
  return 0;
}
