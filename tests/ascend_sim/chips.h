// The chips that `--soc_version` names (docs/ascend.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ascend_sim {

struct Chip {
  std::string name;    // "Ascend910B4"
  std::string family;  // "Ascend910B"
  int cube_cores, vector_cores;
  int64_t memory_mb;  // that npu-smi shows
  int64_t l2_mb;

  bool saturates() const { return family != "Ascend910B" && family != "Ascend910_93"; }  // fp16 overflow: no infinity
  bool has_bf16() const { return family == "Ascend910B" || family == "Ascend910_93" || family == "Ascend310B"; }
  bool has_hbm() const { return family != "Ascend310P" && family != "Ascend310B"; }
};

const std::vector<Chip>& chips();
const Chip* find_chip(const std::string& name);

// of the chip's name as the library tells it
inline constexpr const char* kSuffix = "(simulated)";
inline constexpr const char* kCannVersion = "8.1.RC1";  // unless the settings name another
inline constexpr const char* kCannSuffix = "-simulated";

}  // namespace ascend_sim
