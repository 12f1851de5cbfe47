// The Ascend chips that this process can see, asked by DCMI or else npu-smi; if there is none, the
// reason.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backend/ascend/dcmi.h"
#include "backend/ascend/npu_chip.h"

namespace inkstone {

struct NpuSurvey {
  std::vector<NpuChip> chips;
  std::string source;          // "DCMI" or "npu-smi"
  std::string driver_version;  // "" where it is not known
  // Why there is no chip, if there is none.
  NpuAbsence absence;
};

// `cards_on_bus`: PCI addresses of Ascend cards, which are seen without a driver. Device files are
// looked for below `root`.
NpuSurvey survey_npus(Dcmi& dcmi, const std::vector<std::string>& cards_on_bus,
                      const std::filesystem::path& root = "/");

}  // namespace inkstone
