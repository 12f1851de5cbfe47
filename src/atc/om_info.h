// What is known of a compiled graph besides its bytes: a few lines of ours, then what `atc
// --mode=6` prints of it. Stands beside each `.om` of the cache, and beside those that compile.sh
// made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "atc/manifest.h"

namespace inkstone {

inline constexpr size_t kMaxOmInfoBytes = size_t{1} << 20;  // of such a file

struct OmInfo {
  // of what it was made, see recipe_of(); "": unknown
  std::string recipe;
  std::string cann;  // "8.1.RC1"
  // the .om first; names may have a folder: "weight/weight_1f"
  std::vector<FileRecord> files;
  // as ATC says; its version is one of builds: "7.7.0.1.238"
  std::string soc, atc;
  uint64_t work_bytes = 0, weight_bytes = 0;  // 0: not said
};

// Lines that are none of these are passed over; numbers that are none are 0. Never throws.
OmInfo parse_om_info(std::string_view text);
// recipe, cann and files as parse_om_info() reads them
std::string own_lines(const OmInfo& info);

}  // namespace inkstone
