// The part of DCMI, the driver's management interface, that we use: declarations of our own after
// the published ones. Functions return 0 or an error (see dcmi_error_text). Structures have room
// behind them for drivers that write more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace inkstone::dcmi {

inline constexpr int kMaxCards = 64, kMaxProcesses = 256, kMaxFaults = 128;
inline constexpr int kNotPermitted = -8002, kInnerError = -8005, kTimeout = -8006, kNoDevice = -8008, kNotReady = -8012,
                     kNotInContainer = -8013, kNotSupported = -8255;
// of dcmi_get_device_type; 1 is the card's controller, 2 a CPU
inline constexpr int kUnitNpu = 0;
inline constexpr int kRateAiCore = 2, kRateVector = 12;
// the chip is not there or has not started
inline constexpr uint32_t kHealthUnknown = 0xffffffff;

struct ChipInfo {
  char type[32], name[32], version[32];
  uint32_t ai_cores;
  char npu_name[32];  // version 2 alone
  unsigned char room[128];
};

struct HbmInfo {
  uint64_t total;  // MiB
  uint32_t frequency;
  uint64_t used;  // MiB
  int32_t temperature;
  uint32_t bandwidth_percent;
  unsigned char room[128];
};

struct MemoryInfo {
  uint64_t total, available;  // MiB
  uint32_t frequency;
  unsigned long huge_page_size, huge_pages, huge_pages_free;
  uint32_t used_percent;
  unsigned char reserved[60];
  unsigned char room[128];
};

struct ProcessMemory {
  int32_t id;
  unsigned long bytes;
};

struct PcieInfo {
  uint32_t vendor, subvendor, device, subdevice;
  int32_t domain;
  uint32_t bus, slot, function;
  unsigned char reserved[32];
  unsigned char room[128];
};

static_assert(offsetof(ChipInfo, npu_name) == 100 && offsetof(ChipInfo, room) == 132);
static_assert(offsetof(HbmInfo, used) == 16 && offsetof(HbmInfo, room) == 32);
static_assert(offsetof(PcieInfo, room) == 64 && sizeof(ProcessMemory) == 16);

struct Functions {  // each may be missing
  int (*init)() = nullptr;
  int (*card_list)(int* count, int* cards, int room) = nullptr;
  int (*chips_in_card)(int card, int* count) = nullptr;
  int (*unit_type)(int card, int chip, int* type) = nullptr;
  int (*logic_id)(int* id, int card, int chip) = nullptr;
  int (*chip_info)(int card, int chip, ChipInfo*) = nullptr;
  int (*pcie_info)(int card, int chip, PcieInfo*) = nullptr;
  int (*hbm_info)(int card, int chip, HbmInfo*) = nullptr;
  int (*memory_info)(int card, int chip, MemoryInfo*) = nullptr;
  int (*utilization)(int card, int chip, int type, unsigned* percent) = nullptr;
  int (*temperature)(int card, int chip, int* celsius) = nullptr;
  int (*power)(int card, int chip, int* deciwatts) = nullptr;
  int (*card_power)(int card, int* deciwatts) = nullptr;
  int (*health)(int card, int chip, unsigned* health) = nullptr;
  int (*faults)(int card, int chip, int* count, unsigned* codes, unsigned room) = nullptr;
  int (*processes)(int card, int chip, ProcessMemory*, int* count) = nullptr;
  int (*driver_version)(char* text, unsigned room) = nullptr;
};

}  // namespace inkstone::dcmi
