// Any text as the answer of npu-smi info: values within what a chip can have, names that a terminal
// can bear, or nothing.
#include <cstdlib>

#include "backend/ascend/npu_smi.h"

namespace {

bool is_plain(const std::string& text) {
  for (char c : text)
    if (c < 0x20 || c >= 0x7f) return false;
  return text.size() <= 71;  // "Ascend" and a name
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const inkstone::NpuSmiReport report = inkstone::parse_npu_smi({reinterpret_cast<const char*>(data), size});
  if (report.chips.size() > 256 || !is_plain(report.version)) std::abort();
  for (const inkstone::NpuChip& chip : report.chips) {
    if (!is_plain(chip.name) || !is_plain(chip.soc) || !is_plain(chip.bus_id) || chip.health.empty()) std::abort();
    if (chip.memory_used && (!chip.memory_total || *chip.memory_used > *chip.memory_total)) std::abort();
    if (chip.ai_core_percent && !(*chip.ai_core_percent >= 0 && *chip.ai_core_percent <= 100)) std::abort();
    if (chip.power_w && !(*chip.power_w > 0 && *chip.power_w <= 1e4)) std::abort();
    for (const inkstone::NpuProcess& process : chip.processes)
      if (!is_plain(process.name) || process.id < 0) std::abort();
  }
  return 0;
}
