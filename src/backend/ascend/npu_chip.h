// What was learned of the Ascend chips of a machine, whoever was asked. A value that was not given
// is unset, never 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct NpuProcess {
  // as the driver's host counts: inside a container another number
  int64_t id = 0;
  std::string name;                // "" where it was not given
  std::optional<uint64_t> memory;  // bytes
};

struct NpuChip {
  // the driver's numbers: an Atlas 300I Duo has two chips on one card
  int card = 0, chip = 0;
  // the logic id: the number in "npu:0"
  int index = 0;
  // as the driver writes it: "310P3", "910B4", "Ascend910"
  std::string name;
  // as --soc and AscendCL write it: "Ascend310P3"
  std::string soc;
  std::string bus_id;  // "0000:c1:00.0"
  // bytes; HBM where the chip has it
  std::optional<uint64_t> memory_total, memory_used;
  std::optional<double> ai_core_percent, vector_percent, temperature_c, power_w;
  // "OK", "warning", "alarm", "critical", "unknown"; "" where it was not given
  std::string health;
  std::optional<uint32_t> health_code;
  std::vector<uint32_t> faults;  // the driver's fault codes
  std::vector<NpuProcess> processes;
  // what failed, as opposed to what the chip does not have
  std::vector<std::string> unread;
  // the chip is there and answers nothing
  std::string unusable_because, unusable_way_out;
};

// why there is none, and what to do about it
struct NpuAbsence {
  std::string because, way_out;
};

std::string soc_of(const std::string& chip_name, const std::string& npu_name = "");
// a name out of a foreign source: printable, at most 64 bytes
std::string plain_text(std::string_view text);

}  // namespace inkstone
