// What was learned of the Ascend chips of a machine, whoever was asked. A value that was not given is unset, never 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct NpuProcess {
  int64_t id = 0;                  // as the driver's host counts: inside a container another number
  std::string name;                // "" where it was not given
  std::optional<uint64_t> memory;  // bytes
};

struct NpuChip {
  int card = 0, chip = 0;  // the driver's numbers: an Atlas 300I Duo has two chips on one card
  int index = 0;           // the logic id: the number in "npu:0"
  std::string name;        // as the driver writes it: "310P3", "910B4", "Ascend910"
  std::string soc;         // as --soc and AscendCL write it: "Ascend310P3"
  std::string bus_id;      // "0000:c1:00.0"
  std::optional<uint64_t> memory_total, memory_used;  // bytes; HBM where the chip has it
  std::optional<double> ai_core_percent, vector_percent, temperature_c, power_w;
  std::string health;  // "OK", "warning", "alarm", "critical", "unknown"; "" where it was not given
  std::optional<uint32_t> health_code;
  std::vector<uint32_t> faults;  // the driver's fault codes
  std::vector<NpuProcess> processes;
  std::vector<std::string> unread;                 // what failed, as opposed to what the chip does not have
  std::string unusable_because, unusable_way_out;  // the chip is there and answers nothing
};

struct NpuAbsence {  // why there is none, and what to do about it
  std::string because, way_out;
};

std::string soc_of(const std::string& chip_name, const std::string& npu_name = "");
std::string plain_text(std::string_view text);  // a name out of a foreign source: printable, at most 64 bytes

}  // namespace inkstone
