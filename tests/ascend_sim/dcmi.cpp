// The simulated driver library: one card for each device, values that a healthy idle card has.
// fault=dcmi_...:N:-8005 fails.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "chips.h"
#include "settings.h"

#define DCMI_SIM_API extern "C" __attribute__((visibility("default")))

struct dcmi_chip_info_v2 {
  unsigned char chip_type[32], chip_name[32], chip_ver[32];
  unsigned int aicore_cnt;
  unsigned char npu_name[32];
};
struct dcmi_hbm_info {
  unsigned long long memory_size;  // MB
  unsigned int freq;
  unsigned long long memory_usage;  // MB
  int temp;
  unsigned int bandwith_util_rate;
};
struct dcmi_get_memory_info_stru {
  unsigned long long memory_size, memory_available;  // MB
  unsigned int freq;
  unsigned long hugepagesize, hugepages_total, hugepages_free;
  unsigned int utiliza;
  unsigned char reserve[60];
};
struct dcmi_proc_mem_info {
  int proc_id;
  unsigned long proc_mem_usage;  // bytes
};

namespace {

using namespace ascend_sim;

constexpr int kParameter = -8001, kNoSuch = -8008, kNotReady = -8005, kNotSupported = -8255;
// MB that system and driver take of HBM
constexpr unsigned long long kIdleUsage = 3400;

std::mutex mutex;
bool ready = false;

Settings& settings() {
  static Settings one = Settings::from_environment();
  return one;
}

template <class Body>
int answer(const char* call, int card, int device, Body body) {
  std::lock_guard lock(mutex);
  const Outcome outcome = outcome_of(settings(), call);
  if (outcome.code) return outcome.code;
  if (!ready) return kNotReady;
  if (card < 0 || card >= settings().devices || device != 0) return kNoSuch;
  return body(*find_chip(settings().soc));
}

unsigned long long memory_mb(const Chip& chip) {
  return settings().memory_bytes ? settings().memory_bytes >> 20 : static_cast<unsigned long long>(chip.memory_mb);
}

template <size_t N>
void put(unsigned char (&to)[N], const std::string& text) {
  std::snprintf(reinterpret_cast<char*>(to), N, "%s", text.c_str());
}

int card_list(const char* call, int* number, int* list, int length) {
  std::lock_guard lock(mutex);
  const Outcome outcome = outcome_of(settings(), call);
  if (outcome.code) return outcome.code;
  if (!ready) return kNotReady;
  if (!number || !list || length < settings().devices) return kParameter;
  *number = settings().devices;
  for (int i = 0; i < settings().devices; ++i) list[i] = i;
  return 0;
}

}  // namespace

DCMI_SIM_API int dcmi_init() {
  std::lock_guard lock(mutex);
  const Outcome outcome = outcome_of(settings(), "dcmi_init");
  if (!outcome.code) ready = true;
  return outcome.code;
}

DCMI_SIM_API int dcmi_get_card_list(int* number, int* list, int length) {
  return card_list("dcmi_get_card_list", number, list, length);
}
DCMI_SIM_API int dcmi_get_card_num_list(int* number, int* list, int length) {
  return card_list("dcmi_get_card_num_list", number, list, length);
}

DCMI_SIM_API int dcmi_get_device_num_in_card(int card, int* number) {
  return answer("dcmi_get_device_num_in_card", card, 0, [&](const Chip&) { return *number = 1, 0; });
}

DCMI_SIM_API int dcmi_get_device_logic_id(int* logic, int card, int device) {
  return answer("dcmi_get_device_logic_id", card, device, [&](const Chip&) { return *logic = card, 0; });
}

DCMI_SIM_API int dcmi_get_device_chip_info_v2(int card, int device, dcmi_chip_info_v2* info) {
  return answer("dcmi_get_device_chip_info_v2", card, device, [&](const Chip& chip) {
    std::memset(info, 0, sizeof *info);
    put(info->chip_type, "Ascend");
    put(info->chip_name, chip.name.substr(6));
    put(info->chip_ver, "V1(simulated)");
    put(info->npu_name, chip.name.substr(6));
    info->aicore_cnt = static_cast<unsigned>(chip.cube_cores);
    return 0;
  });
}

DCMI_SIM_API int dcmi_get_device_hbm_info(int card, int device, dcmi_hbm_info* info) {
  return answer("dcmi_get_device_hbm_info", card, device, [&](const Chip& chip) {
    if (!chip.has_hbm()) return kNotSupported;
    *info = {memory_mb(chip), 1600, std::min(kIdleUsage, memory_mb(chip)), 45, 0};
    return 0;
  });
}

DCMI_SIM_API int dcmi_get_device_memory_info_v3(int card, int device, dcmi_get_memory_info_stru* info) {
  return answer("dcmi_get_device_memory_info_v3", card, device, [&](const Chip& chip) {
    std::memset(info, 0, sizeof *info);
    // the chip's memory is HBM; this is the other kind
    if (chip.has_hbm()) return 0;
    const unsigned long long used = std::min(1074ull, memory_mb(chip));
    info->memory_size = memory_mb(chip);
    info->memory_available = memory_mb(chip) - used;
    info->freq = 1600;
    info->hugepagesize = 2048;
    info->utiliza = memory_mb(chip) ? static_cast<unsigned>(100 * used / memory_mb(chip)) : 0;
    return 0;
  });
}

DCMI_SIM_API int dcmi_get_device_utilization_rate(int card, int device, int type, unsigned int* rate) {
  return answer("dcmi_get_device_utilization_rate", card, device, [&](const Chip& chip) {
    if (type < 1 || type > 13) return kParameter;
    if ((type == 6 || type == 10) && !chip.has_hbm()) return kNotSupported;
    *rate = type == 6 ? static_cast<unsigned>(100 * kIdleUsage / std::max(1ull, memory_mb(chip))) : 0;
    return 0;
  });
}

DCMI_SIM_API int dcmi_get_device_power_info(int card, int device, int* tenths_of_watt) {
  return answer("dcmi_get_device_power_info", card, device, [&](const Chip& chip) {
    if (chip.family == "Ascend310P") return kNotSupported;
    return *tenths_of_watt = 912, 0;
  });
}

DCMI_SIM_API int dcmi_mcu_get_power_info(int card, int* tenths_of_watt) {
  return answer("dcmi_mcu_get_power_info", card, 0, [&](const Chip& chip) {
    if (chip.family != "Ascend310P") return kNotSupported;
    return *tenths_of_watt = 158, 0;
  });
}

DCMI_SIM_API int dcmi_get_device_temperature(int card, int device, int* celsius) {
  return answer("dcmi_get_device_temperature", card, device, [&](const Chip&) { return *celsius = 42, 0; });
}

DCMI_SIM_API int dcmi_get_device_health(int card, int device, unsigned int* health) {
  return answer("dcmi_get_device_health", card, device, [&](const Chip&) { return *health = 0, 0; });
}

DCMI_SIM_API int dcmi_get_device_resource_info(int card, int device, dcmi_proc_mem_info* list, int* number) {
  return answer("dcmi_get_device_resource_info", card, device, [&](const Chip&) {
    (void)list;
    return *number = 0, 0;
  });
}

DCMI_SIM_API int dcmi_get_driver_version(char* version, unsigned int length) {
  return answer("dcmi_get_driver_version", 0, 0, [&](const Chip&) {
    std::snprintf(version, length, "25.0.rc1(simulated)");
    return 0;
  });
}
