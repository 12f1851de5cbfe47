// Which Ascend chips this machine shows to this process, by DCMI, else by npu-smi; where there is
// none, why.
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
  // of the chips, where there is none
  NpuAbsence absence;
};

// `cards_on_bus`: PCI addresses of Ascend cards, which are seen without a driver. Device files are
// looked for below `root`.
NpuSurvey survey_npus(Dcmi& dcmi, const std::vector<std::string>& cards_on_bus,
                      const std::filesystem::path& root = "/");

}  // namespace inkstone
