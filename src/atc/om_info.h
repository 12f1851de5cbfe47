// A text file about a compiled graph: a few lines of ours, then the output of `atc --mode=6`. It is
// beside each `.om` of the cache, and beside those that compile.sh made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "atc/manifest.h"

namespace inkstone {

inline constexpr size_t kMaxOmInfoBytes = size_t{1} << 20;  // of such a file

struct OmInfo {
  // See recipe_of(); "": unknown.
  std::string recipe;
  std::string cann;  // "8.1.RC1"
  // The .om first. Names may have a folder: "weight/weight_1f".
  std::vector<FileRecord> files;
  // As ATC says. Its version is a build's: "7.7.0.1.238".
  std::string soc, atc;
  uint64_t work_bytes = 0, weight_bytes = 0;  // 0: not said
};

// Ignores other lines; malformed numbers become 0. Never throws.
OmInfo parse_om_info(std::string_view text);
// The lines for recipe, cann and files, as parse_om_info() reads them.
std::string own_lines(const OmInfo& info);

}  // namespace inkstone
