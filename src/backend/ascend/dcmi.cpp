#include "backend/ascend/dcmi.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>

#include "base/environment.h"

namespace inkstone {
namespace {

constexpr uint64_t kMib = uint64_t{1} << 20, kMaxMib = uint64_t{1} << 32;

constexpr const char* kInstall =
    "install the Ascend driver; in a container mount /usr/local/Ascend/driver and /usr/local/dcmi from the host";
constexpr const char* kDamaged =
    "let the loader find the driver's other libraries: in a container mount /usr/local/Ascend/driver and "
    "/usr/local/dcmi from the host, and put /usr/local/Ascend/driver/lib64/driver and .../lib64/common into "
    "LD_LIBRARY_PATH; else install the driver anew";

std::vector<std::string> candidates() {
  if (const auto stated = environment(Variable::kDcmiLibrary)) return {*stated};
  return {"libdcmi.so", "/usr/local/dcmi/libdcmi.so", "/usr/local/Ascend/driver/lib64/driver/libdcmi.so",
          "/usr/local/Ascend/driver/lib64/common/libdcmi.so", "/usr/local/Ascend/driver/lib64/libdcmi.so"};
}

template <typename Function>
void find(void* library, Function*& function, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (!function) function = reinterpret_cast<Function*>(dlsym(library, name));
}

dcmi::Functions functions_of(void* library) {
  dcmi::Functions call;
  find(library, call.init, {"dcmi_init"});
  find(library, call.card_list, {"dcmi_get_card_list", "dcmi_get_card_num_list"});
  find(library, call.chips_in_card, {"dcmi_get_device_num_in_card"});
  find(library, call.unit_type, {"dcmi_get_device_type"});
  find(library, call.logic_id, {"dcmi_get_device_logic_id"});
  find(library, call.chip_info, {"dcmi_get_device_chip_info_v2", "dcmi_get_device_chip_info"});
  find(library, call.pcie_info, {"dcmi_get_device_pcie_info_v2"});
  find(library, call.hbm_info, {"dcmi_get_device_hbm_info"});
  find(library, call.memory_info, {"dcmi_get_device_memory_info_v3"});
  find(library, call.utilization, {"dcmi_get_device_utilization_rate"});
  find(library, call.temperature, {"dcmi_get_device_temperature"});
  find(library, call.power, {"dcmi_get_device_power_info"});
  find(library, call.card_power, {"dcmi_mcu_get_power_info"});
  find(library, call.health, {"dcmi_get_device_health"});
  find(library, call.faults, {"dcmi_get_device_errorcode_v2"});
  find(library, call.processes, {"dcmi_get_device_resource_info"});
  find(library, call.driver_version, {"dcmi_get_driver_version"});
  return call;
}

// Calls the function. Notes a failure, unless this chip or environment just does not provide the
// value.
template <typename Call, typename... Arguments>
bool asked(NpuChip& chip, const char* what, Call* call, Arguments... arguments) {
  if (!call) return false;
  const int code = call(arguments...);
  if (code && code != dcmi::kNotSupported && code != dcmi::kNotInContainer)
    chip.unread.push_back(std::string(what) + ": DCMI " + dcmi_error_text(code));
  return code == 0;
}

const char* name_of_health(uint32_t health) {
  constexpr const char* kNames[] = {"OK", "warning", "alarm", "critical"};
  return health < std::size(kNames) ? kNames[health] : "unknown";
}

template <size_t N>
std::string text_of(const char (&text)[N]) {
  return plain_text(std::string_view(text, N));
}

}  // namespace

std::string dcmi_error_text(int code) {
  const auto name = [&] {
    switch (code) {
      case -8001: return "invalid parameter";
      case dcmi::kNotPermitted: return "not permitted";
      case -8003: return "memory operation failed";
      case dcmi::kInnerError: return "inner error";
      case dcmi::kTimeout: return "timeout";
      case -8007: return "invalid device id";
      case dcmi::kNoDevice: return "no such device";
      case -8009: return "ioctl failed";
      case -8010: return "message not sent";
      case -8011: return "message not received";
      case dcmi::kNotReady: return "not ready";
      case dcmi::kNotInContainer: return "not supported in a container";
      case -8014: return "file operation failed";
      case -8017: return "being upgraded";
      case -8020: return "resource occupied";
      case dcmi::kNotSupported: return "not supported";
    }
    return "unknown error";
  }();
  return std::to_string(code) + " (" + name + ")";
}

std::string dcmi_way_out(int code) {
  switch (code) {
    case dcmi::kNotPermitted:
      return "run as a user of the group HwHiAiUser (usermod -aG HwHiAiUser USER, then log in again), or as root";
    case dcmi::kInnerError:
      return "another container may hold the chip, since one has it at a time unless shared mode is on: stop it or "
             "give "
             "this one another chip; else npu-smi info on the host says whether the driver is well";
    case dcmi::kNoDevice:
      return "give the container its chips: --device=/dev/davinci0 --device=/dev/davinci_manager "
             "--device=/dev/devmm_svm --device=/dev/hisi_hdc";
    case dcmi::kTimeout:
    case dcmi::kNotReady: return "the chip is starting or hangs: try again in a minute, then look at dmesg";
    case dcmi::kNotInContainer: return "ask on the host";
  }
  return "npu-smi info and dmesg on the host say whether driver and chip are well";
}

Dcmi::State Dcmi::refuse(std::string because, std::string way_out) {
  absence_ = {std::move(because), std::move(way_out)};
  return library_ ? State::kRefused : State::kNoLibrary;
}

Dcmi::State Dcmi::open() {
  if (ready_) return State::kReady;
  std::string reason;
  for (const std::string& candidate : candidates()) {
    if (library_) break;
    library_ = dlopen(candidate.c_str(), RTLD_LAZY | RTLD_GLOBAL);
    const char* error = library_ ? nullptr : dlerror();
    std::error_code ignored;
    if (!library_ && (!reason.empty() || !std::filesystem::exists(candidate, ignored))) continue;
    path_ = candidate;
    reason = error ? error : "";
  }
  if (!library_ && !reason.empty()) return refuse("cannot load " + path_ + ": " + reason, kDamaged);
  if (!library_) return refuse("the Ascend driver's libdcmi.so was not found", kInstall);
  call_ = functions_of(library_);
  if (!call_.init || !call_.card_list || !call_.chips_in_card)
    return refuse(path_ + " lacks dcmi_init, dcmi_get_card_list or dcmi_get_device_num_in_card",
                  "install a current Ascend driver");
  if (const int code = call_.init())
    return refuse("the driver's dcmi_init failed: " + dcmi_error_text(code), dcmi_way_out(code));
  ready_ = true;
  return State::kReady;
}

std::vector<NpuChip> Dcmi::chips() {
  std::vector<NpuChip> chips;
  if (!ready_) return chips;
  absence_ = {};
  int cards[dcmi::kMaxCards] = {}, count = 0;
  if (const int code = call_.card_list(&count, cards, dcmi::kMaxCards)) {
    refuse("the driver's dcmi_get_card_list failed: " + dcmi_error_text(code), dcmi_way_out(code));
    return chips;
  }
  if (count <= 0) refuse("the Ascend driver shows no card to this process", dcmi_way_out(dcmi::kNoDevice));
  for (const int card : std::span(cards).first(static_cast<size_t>(std::clamp(count, 0, dcmi::kMaxCards)))) {
    int in_card = 0;
    if (const int code = call_.chips_in_card(card, &in_card)) {
      NpuChip& lost = chips.emplace_back();
      lost.card = card;
      lost.index = static_cast<int>(chips.size()) - 1;
      lost.unusable_because = "dcmi_get_device_num_in_card failed: " + dcmi_error_text(code);
      lost.unusable_way_out = dcmi_way_out(code);
    }
    for (int chip = 0; chip < std::min(in_card, dcmi::kMaxCards); ++chip) {
      int type = dcmi::kUnitNpu;
      if (call_.unit_type && call_.unit_type(card, chip, &type) == 0 && type != dcmi::kUnitNpu) continue;
      chips.push_back(read(card, chip, static_cast<int>(chips.size())));
    }
  }
  if (chips.empty() && absence_.because.empty())
    refuse("the cards of the Ascend driver have no NPU", dcmi_way_out(dcmi::kInnerError));
  return chips;
}

NpuChip Dcmi::read(int card, int number, int index) const {
  NpuChip chip;
  chip.card = card;
  chip.chip = number;
  chip.index = index;
  int id = 0;
  if (call_.logic_id && call_.logic_id(&id, card, number) == 0 && id >= 0) chip.index = id;

  dcmi::ChipInfo info{};
  if (const int code = call_.chip_info ? call_.chip_info(card, number, &info) : 0) {
    chip.unusable_because = "dcmi_get_device_chip_info failed: " + dcmi_error_text(code);
    chip.unusable_way_out = dcmi_way_out(code);
    return chip;
  }
  chip.name = text_of(info.name);
  chip.soc = soc_of(chip.name, text_of(info.npu_name));

  dcmi::PcieInfo bus{};
  if (asked(chip, "bus", call_.pcie_info, card, number, &bus)) {
    char text[40];
    std::snprintf(text, sizeof text, "%04x:%02x:%02x.%x", static_cast<unsigned>(bus.domain), bus.bus, bus.slot,
                  bus.function);
    chip.bus_id = text;
  }
  read_memory(chip);
  const auto rate = [&](const char* what, int type, std::optional<double>& percent) {
    unsigned value = 0;
    if (asked(chip, what, call_.utilization, card, number, type, &value) && value <= 100) percent = value;
  };
  rate("AI core", dcmi::kRateAiCore, chip.ai_core_percent);
  rate("vector cores", dcmi::kRateVector, chip.vector_percent);
  int celsius = 0;
  // beyond this range: there is no such sensor
  constexpr int kColdest = -60, kHottest = 200;
  if (asked(chip, "temperature", call_.temperature, card, number, &celsius) && celsius > kColdest && celsius < kHottest)
    chip.temperature_c = celsius;
  read_power(chip);
  read_health(chip);
  read_processes(chip);
  return chip;
}

// 310P has no HBM, 910B has no DDR. The first 910 has both; its models are in HBM.
void Dcmi::read_memory(NpuChip& chip) const {
  dcmi::HbmInfo hbm{};
  if (asked(chip, "HBM", call_.hbm_info, chip.card, chip.chip, &hbm) && hbm.total > 0 && hbm.total < kMaxMib) {
    chip.memory_total = hbm.total * kMib;
    if (hbm.used <= hbm.total) chip.memory_used = hbm.used * kMib;
    return;
  }
  dcmi::MemoryInfo memory{};
  if (asked(chip, "memory", call_.memory_info, chip.card, chip.chip, &memory) && memory.total > 0 &&
      memory.total < kMaxMib) {
    chip.memory_total = memory.total * kMib;
    if (memory.available <= memory.total) chip.memory_used = (memory.total - memory.available) * kMib;
  }
}

// A 310P card has one power meter for all its chips, on its controller.
void Dcmi::read_power(NpuChip& chip) const {
  constexpr int kMaxDeciwatts = 100'000;
  int deciwatts = 0;
  if (!asked(chip, "power", call_.power, chip.card, chip.chip, &deciwatts) || deciwatts <= 0) {
    deciwatts = 0;
    if (!asked(chip, "card power", call_.card_power, chip.card, &deciwatts)) return;
  }
  if (deciwatts > 0 && deciwatts < kMaxDeciwatts) chip.power_w = deciwatts / 10.0;
}

void Dcmi::read_health(NpuChip& chip) const {
  unsigned health = 0;
  if (asked(chip, "health", call_.health, chip.card, chip.chip, &health)) {
    chip.health = name_of_health(health);
    chip.health_code = health;
  }
  unsigned codes[dcmi::kMaxFaults] = {};
  int count = 0;
  if (asked(chip, "faults", call_.faults, chip.card, chip.chip, &count, codes, unsigned{dcmi::kMaxFaults}))
    chip.faults.assign(codes, codes + std::clamp(count, 0, dcmi::kMaxFaults));
}

void Dcmi::read_processes(NpuChip& chip) const {
  std::vector<dcmi::ProcessMemory> processes(dcmi::kMaxProcesses);
  int count = 0;
  if (!asked(chip, "processes", call_.processes, chip.card, chip.chip, processes.data(), &count)) return;
  processes.resize(static_cast<size_t>(std::clamp(count, 0, dcmi::kMaxProcesses)));
  for (const auto& [id, bytes] : processes)
    chip.processes.push_back({id, "", bytes ? std::optional<uint64_t>(bytes) : std::nullopt});
}

std::string Dcmi::driver_version() const {
  char text[256] = {};
  if (!ready_ || !call_.driver_version || call_.driver_version(text, sizeof text) != 0) return "";
  return text_of(text);
}

}  // namespace inkstone
