// The devices of this machine and their state, for `inkstone devices` and for a server's metrics.
// No device is opened for work or held. A value that a device does not report is unset, never 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace inkstone {

struct DeviceProcess {
  int64_t id = 0;  // as the driver's host counts
  std::string name;
  std::optional<uint64_t> memory;  // bytes
};

struct DeviceStatus {
  std::string name;  // "cpu", "cuda:0", "npu:0": what --device takes
  std::string chip;  // "Ascend310P3" (what --soc takes), "AMD EPYC"
  // "2 threads, avx512 with bf16"; "card 1, chip 0"
  std::string description;
  std::string bus_id;  // PCI address
  bool present = false;
  std::string absent_because, way_out;  // where it is not present

  std::optional<uint64_t> memory_total, memory_free;  // bytes
  std::optional<uint64_t> memory_used_by_us;          // by this process
  // The largest piece that can be allocated.
  std::optional<uint64_t> largest_free_block;
  std::optional<double> ai_core_percent, vector_percent;
  std::optional<double> temperature_c, power_w;
  // "OK", "warning", "alarm", "critical", "unknown"; "" where nothing tells
  std::string health;
  std::optional<uint32_t> health_code;
  std::vector<uint32_t> faults;  // the driver's codes
  std::vector<DeviceProcess> processes;

  std::string driver_version;
  // CANN's version, from the environment's toolkit or the usual folders.
  std::string cann_version;
  std::string cann_file;  // the file that says so
  // The source of these values: "DCMI", "npu-smi", "AscendCL", "system".
  std::string source;
  // What could not be read, and what still has to be set up.
  std::vector<std::string> notes;
  bool simulated = false;  // a simulator's library answered
};

// First cpu, then cuda, then npu. A kind without a device has one entry that says why. Files are
// looked for below `root`.
std::vector<DeviceStatus> device_status(const std::filesystem::path& root = "/");

struct DeviceAbsence {
  std::string way_out, because;
  std::string looked_for;  // files, separated by commas
};
// Why AscendCL, without which no npu device works, cannot be opened; nothing where it can. It is tried in
// a child process, so that nothing of it stays in this one; call it before threads are started.
std::optional<DeviceAbsence> ascendcl_absence();

// 0: all free memory is one block. Near 1: it is in small pieces.
double fragmentation(uint64_t largest_free, uint64_t free);

}  // namespace inkstone
