#include "backend/devices.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <mutex>

#include "backend/ascend/library.h"
#include "backend/ascend/survey.h"
#include "backend/ascend/versions.h"
#include "backend/cpu/device.h"
#include "base/environment.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// PCI addresses of devices of this maker (0x19e5) and class ("0x12": accelerators; "0x03":
// displays).
std::vector<std::string> cards_on_bus(const fs::path& root, std::string_view vendor, std::string_view kind) {
  std::vector<std::string> cards;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root / "sys/bus/pci/devices", ignored))
    if (first_line(entry.path() / "vendor") == vendor && first_line(entry.path() / "class").starts_with(kind))
      cards.push_back(entry.path().filename().string());
  std::sort(cards.begin(), cards.end());
  return cards;
}

DeviceStatus cpu_status() {
  const DeviceInfo info = cpu::describe_cpu();
  DeviceStatus status;
  status.name = info.name;
  const size_t comma = info.description.find(", ");
  status.chip = info.description.substr(0, comma);
  if (comma != std::string::npos) status.description = info.description.substr(comma + 2);
  status.present = true;
  status.memory_total = info.memory_total;
  status.memory_free = info.memory_free;
  status.source = "system";
  return status;
}

// "Model: 		 NVIDIA A10" of the first card that NVIDIA's driver lists.
std::string nvidia_model(const fs::path& root) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root / "proc/driver/nvidia/gpus", ignored)) {
    const std::string line = first_line(entry.path() / "information");
    const size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
    if (line.starts_with("Model:") && begin != std::string::npos) return plain_text(line.substr(begin));
  }
  return "";
}

DeviceStatus cuda_status(const fs::path& root) {
  DeviceStatus status;
  status.name = "cuda:0";
  status.source = "system";
  status.chip = nvidia_model(root);
  const std::vector<std::string> cards = cards_on_bus(root, "0x10de", "0x03");
  if (!cards.empty()) status.bus_id = cards.front();
  std::error_code ignored;
  const bool driver = !status.chip.empty() || fs::exists(root / "dev/nvidiactl", ignored);
  status.absent_because = "this build has no CUDA backend; ";
  if (driver)
    status.absent_because +=
        "an NVIDIA card with its driver is here" + (status.chip.empty() ? "" : " (" + status.chip + ")");
  else if (!cards.empty())
    status.absent_because += "an NVIDIA card is on the PCI bus (" + cards.front() + ") without its driver";
  else
    status.absent_because += "no NVIDIA card is here either";
  status.way_out = "use --device cpu";
  return status;
}

bool says_simulated(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text.find("simulat") != std::string::npos || text.find("fake") != std::string::npos;
}

DeviceStatus status_of(const NpuChip& chip) {
  DeviceStatus status;
  status.name = "npu:" + std::to_string(chip.index);
  status.chip = chip.soc;
  status.description = "card " + std::to_string(chip.card) + ", chip " + std::to_string(chip.chip);
  status.bus_id = chip.bus_id;
  status.present = chip.unusable_because.empty();
  status.absent_because = chip.unusable_because;
  status.way_out = chip.unusable_way_out;
  status.memory_total = chip.memory_total;
  if (chip.memory_total && chip.memory_used) status.memory_free = *chip.memory_total - *chip.memory_used;
  status.ai_core_percent = chip.ai_core_percent;
  status.vector_percent = chip.vector_percent;
  status.temperature_c = chip.temperature_c;
  status.power_w = chip.power_w;
  status.health = chip.health;
  status.health_code = chip.health_code;
  status.faults = chip.faults;
  for (const NpuProcess& process : chip.processes)
    status.processes.push_back({process.id, process.name, process.memory});
  status.notes = chip.unread;
  return status;
}

std::string set_env_of(const fs::path& home) {
  std::error_code ignored;
  for (const fs::path& folder : {home, home.parent_path()})
    if (fs::exists(folder / "set_env.sh", ignored)) return (folder / "set_env.sh").string();
  return (home / "set_env.sh").string();
}

void add_cann(DeviceStatus& status, const InstalledVersion& cann) {
  status.cann_version = cann.version;
  status.cann_file = cann.file.string();
  if (!status.present) return;
  if (cann.version.empty())
    status.notes.push_back(
        "no CANN toolkit was found: install it (or nnrt, enough to run .om files), then source its set_env.sh, "
        "usually in /usr/local/Ascend/cann or /usr/local/Ascend/ascend-toolkit");
  else if (!environment(Variable::kAscendOppPath))
    status.notes.push_back("CANN is not set up in this shell: source " + set_env_of(cann.home));
}

std::vector<DeviceStatus> npu_status(const fs::path& root) {
  static std::mutex one_at_a_time;
  static Dcmi dcmi;
  const std::lock_guard lock(one_at_a_time);
  const NpuSurvey survey = survey_npus(dcmi, cards_on_bus(root, "0x19e5", "0x12"), root);
  std::vector<DeviceStatus> devices;
  for (const NpuChip& chip : survey.chips) devices.push_back(status_of(chip));
  if (devices.empty()) {
    DeviceStatus& absent = devices.emplace_back();
    absent.name = "npu:0";
    absent.absent_because = survey.absence.because;
    absent.way_out = survey.absence.way_out;
  }
  const InstalledVersion cann = installed_cann(root);
  for (DeviceStatus& device : devices) {
    device.source = survey.source.empty() ? "system" : survey.source;
    device.driver_version = survey.driver_version;
    add_cann(device, cann);
    device.simulated =
        says_simulated(device.chip) || says_simulated(device.driver_version) || says_simulated(device.cann_version);
  }
  return devices;
}

}  // namespace

std::vector<DeviceStatus> device_status(const fs::path& root) {
  std::vector<DeviceStatus> devices{cpu_status(), cuda_status(root)};
  for (DeviceStatus& device : npu_status(root)) devices.push_back(std::move(device));
  return devices;
}

std::optional<DeviceAbsence> ascendcl_absence() {
  const std::optional<NpuAbsence> absence = ascend::library_absence();
  if (!absence) return {};
  DeviceAbsence result{absence->way_out, absence->because, ""};
  for (const std::string& path : ascend::library_candidates())
    result.looked_for += (result.looked_for.empty() ? "" : ", ") + path;
  return result;
}

double fragmentation(uint64_t largest_free, uint64_t free) {
  if (free == 0) return 0;
  return 1 - static_cast<double>(std::min(largest_free, free)) / static_cast<double>(free);
}

}  // namespace inkstone
