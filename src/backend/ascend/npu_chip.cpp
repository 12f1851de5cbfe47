#include "backend/ascend/npu_chip.h"

#include <algorithm>
#include <string_view>

namespace inkstone {

std::string plain_text(std::string_view text) {
  constexpr size_t kMax = 64;
  std::string plain;
  for (char c : text) {
    if (plain.size() == kMax || c == '\0') break;
    plain += c >= 0x20 && c < 0x7f ? c : '?';
  }
  while (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain.substr(std::min(plain.find_first_not_of(' '), plain.size()));
}

// Atlas A3 chips call themselves "Ascend910" and have their kind in npu_name: "9382" is
// Ascend910_9382.
std::string soc_of(const std::string& chip_name, const std::string& npu_name) {
  if (chip_name.empty()) return "";
  const std::string soc = chip_name.starts_with("Ascend") ? chip_name : "Ascend" + chip_name;
  const bool number = npu_name.size() == 4 && npu_name.find_first_not_of("0123456789") == std::string::npos;
  return soc == "Ascend910" && number ? soc + "_" + npu_name : soc;
}

}  // namespace inkstone
