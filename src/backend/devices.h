// The devices of this machine and how they do, for `inkstone devices` and for a server to export.
// It asks, it holds nothing: no device is opened for work. A value that a device does not give is
// unset, never 0.
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
  // largest piece that one allocation can have
  std::optional<uint64_t> largest_free_block;
  std::optional<double> ai_core_percent, vector_percent;
  std::optional<double> temperature_c, power_w;
  // "OK", "warning", "alarm", "critical", "unknown"; "" where nothing tells
  std::string health;
  std::optional<uint32_t> health_code;
  std::vector<uint32_t> faults;  // the driver's codes
  std::vector<DeviceProcess> processes;

  std::string driver_version;
  // of the toolkit that this environment or the usual folders have
  std::string cann_version;
  std::string cann_file;  // where that stands
  // "DCMI", "npu-smi", "AscendCL", "system": who said all this
  std::string source;
  // what failed to be read, what is still to be set up
  std::vector<std::string> notes;
  bool simulated = false;  // a simulator's library answered
};

// cpu, then cuda, then npu; a kind without a device is one entry that says why. Files are looked
// for below `root`.
std::vector<DeviceStatus> device_status(const std::filesystem::path& root = "/");

// 0: all that is free is one block; near 1: it is crumbs.
double fragmentation(uint64_t largest_free, uint64_t free);

}  // namespace inkstone
