// A fake libdcmi.so for tests: it knows no device. One card, number 5, of two chips and a
// controller, as an Atlas 300I Duo. Its answers stand at the byte offsets of the published
// structures, written here a second time on purpose.
//   FAKE_DCMI_CHIP=310P3 (the default: memory and a card's power) or 910B4 (HBM and a chip's power)
//   FAKE_DCMI_CARDS=0 no card FAKE_DCMI_HEALTH=2 that health
//   FAKE_DCMI_FAIL=dcmi_init=-8005,dcmi_get_device_health=-8006 these functions fail so
//   FAKE_DCMI_NOISE=1 values that no chip has
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

int failure(const char* function) {
  const std::string list = "," + setting("FAKE_DCMI_FAIL", ""), name = "," + std::string(function) + "=";
  const size_t at = list.find(name);
  return at == std::string::npos ? 0 : std::atoi(list.c_str() + at + name.size());
}

bool is_310p() { return setting("FAKE_DCMI_CHIP", "310P3") == "310P3"; }
bool noise() { return setting("FAKE_DCMI_NOISE", "0") == "1"; }

constexpr int kNotSupported = -8255;

template <typename T>
void put(void* structure, size_t offset, T value) {
  std::memcpy(static_cast<char*>(structure) + offset, &value, sizeof value);
}

}  // namespace

extern "C" {

int dcmi_init() { return failure("dcmi_init"); }

int dcmi_get_card_list(int* count, int* cards, int room) {
  *count = std::atoi(setting("FAKE_DCMI_CARDS", "1").c_str());
  if (room > 0) cards[0] = 5;
  return failure("dcmi_get_card_list");
}

int dcmi_get_device_num_in_card(int, int* count) {
  *count = 3;
  return failure("dcmi_get_device_num_in_card");
}

int dcmi_get_device_type(int, int chip, int* type) {
  *type = chip == 2 ? 1 : 0;
  return failure("dcmi_get_device_type");
}

int dcmi_get_device_logic_id(int* id, int, int chip) {
  *id = chip;
  return failure("dcmi_get_device_logic_id");
}

int dcmi_get_device_chip_info_v2(int, int chip, void* info) {
  if (const int code = failure(chip ? "second_chip" : "first_chip")) return code;
  std::memset(info, 0, 132);
  std::strcpy(static_cast<char*>(info), "Ascend");
  std::strcpy(static_cast<char*>(info) + 32, (setting("FAKE_DCMI_CHIP", "310P3") + "-fake").c_str());
  if (noise()) std::memset(static_cast<char*>(info) + 32, '\x1b', 32);
  put(info, 96, uint32_t{8});
  return failure("dcmi_get_device_chip_info_v2");
}

int dcmi_get_device_pcie_info_v2(int, int chip, void* info) {
  std::memset(info, 0, 64);
  put(info, 20, uint32_t{0xc1});
  put(info, 28, static_cast<uint32_t>(chip));
  return failure("dcmi_get_device_pcie_info_v2");
}

int dcmi_get_device_hbm_info(int, int, void* info) {
  if (is_310p()) return kNotSupported;
  put(info, 0, noise() ? UINT64_MAX : uint64_t{32768});
  put(info, 16, noise() ? UINT64_MAX : uint64_t{2858});
  return failure("dcmi_get_device_hbm_info");
}

int dcmi_get_device_memory_info_v3(int, int, void* info) {
  if (!is_310p()) return kNotSupported;
  std::memset(info, 0, 112);
  put(info, 0, uint64_t{noise() ? 0u : 21527u});
  put(info, 8, uint64_t{noise() ? 7u : 20000u});
  return failure("dcmi_get_device_memory_info_v3");
}

int dcmi_get_device_utilization_rate(int, int, int type, unsigned* percent) {
  *percent = noise() ? 4000000000u : type == 2 ? 63 : type == 12 ? 7 : 99;
  if (type == 12 && is_310p()) return kNotSupported;
  return failure("dcmi_get_device_utilization_rate");
}

int dcmi_get_device_temperature(int, int, int* celsius) {
  *celsius = noise() ? 0x7fff : 42;
  return failure("dcmi_get_device_temperature");
}

int dcmi_get_device_power_info(int, int, int* deciwatts) {
  if (is_310p()) return kNotSupported;
  *deciwatts = noise() ? -1 : 889;
  return failure("dcmi_get_device_power_info");
}

int dcmi_mcu_get_power_info(int, int* deciwatts) {
  *deciwatts = noise() ? 0 : 158;
  return failure("dcmi_mcu_get_power_info");
}

int dcmi_get_device_health(int, int, unsigned* health) {
  *health = static_cast<unsigned>(std::strtoul(setting("FAKE_DCMI_HEALTH", "0").c_str(), nullptr, 0));
  return failure("dcmi_get_device_health");
}

int dcmi_get_device_errorcode_v2(int, int, int* count, unsigned* codes, unsigned) {
  *count = noise() ? -3 : setting("FAKE_DCMI_HEALTH", "0") == "0" ? 0 : 1;
  codes[0] = 0x80e01801u;
  return failure("dcmi_get_device_errorcode_v2");
}

int dcmi_get_device_resource_info(int, int chip, void* processes, int* count) {
  *count = noise() ? 1 << 30 : chip == 0 ? 1 : 0;
  put(processes, 0, int32_t{4321});
  put(processes, 8, uint64_t{3} << 30);
  return failure("dcmi_get_device_resource_info");
}

int dcmi_get_driver_version(char* text, unsigned) {
  std::strcpy(text, "25.0.rc1.1-fake");
  return failure("dcmi_get_driver_version");
}
}
