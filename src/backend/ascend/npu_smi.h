// `npu-smi info` read as a table, for machines whose driver library cannot be opened. The text is
// meant for people and differs between drivers: an unknown form gives no chips, an unknown field
// gives no value, and no text makes it throw.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/ascend/npu_chip.h"

namespace inkstone {

struct NpuSmiReport {
  // The version of npu-smi and of the driver, which are installed together.
  std::string version;
  // in the order of the table; the index counts them
  std::vector<NpuChip> chips;
  // From "ret is -8005", if there is no table.
  std::optional<int> error;
};

NpuSmiReport parse_npu_smi(std::string_view text);

// What npu-smi said, within 5 seconds and 1 MiB; absent, with the reason, if there is no such
// program or it failed. INKSTONE_NPU_SMI names the one program to run instead, for tests.
struct NpuSmiRun {
  std::string program;  // "" where none was found
  std::optional<NpuSmiReport> report;
  NpuAbsence absence;
};
NpuSmiRun run_npu_smi();

}  // namespace inkstone
