#include "app/serve_devices.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone {
namespace {

bool is_npu(const std::string& device) { return device.starts_with("npu"); }

[[noreturn]] void refuse_device(const std::string& device, const std::string& way_out, const std::string& because) {
  fail(INKSTONE_HERE, {"--device ", device, ": ", way_out, ": ", because});
}

}  // namespace

std::vector<std::string> with_all_npus(const std::vector<std::string>& devices, std::span<const DeviceStatus> there) {
  std::vector<std::string> names;
  for (const std::string& device : devices) {
    if (device != kAllNpus) {
      names.push_back(device);
      continue;
    }
    const size_t before = names.size();
    const DeviceStatus* absent = nullptr;
    for (const DeviceStatus& status : there) {
      if (!is_npu(status.name)) continue;
      if (status.present)
        names.push_back(status.name);
      else
        absent = &status;
    }
    if (names.size() == before)
      refuse_device(kAllNpus, absent ? absent->way_out : "use --device cpu",
                    absent ? absent->absent_because : "no Ascend chip is here");
  }
  return names;
}

void check_devices(const std::vector<std::string>& devices, bool verbose) {
  if (std::ranges::none_of(devices, is_npu)) return;
  if (const std::optional<DeviceAbsence> absence = ascendcl_absence())
    refuse_device(*std::ranges::find_if(devices, is_npu), absence->way_out,
                  absence->because + (verbose ? "; looked for as " + absence->looked_for : ""));
  // Where the driver's tools tell of no chip (they may be missing in a container), AscendCL itself has the last word.
  std::vector<DeviceStatus> npus = device_status();
  std::erase_if(npus, [](const DeviceStatus& status) { return !is_npu(status.name); });
  if (std::ranges::none_of(npus, &DeviceStatus::present)) return;
  for (const std::string& device : devices) {
    const std::string name = device == "npu" ? "npu:0" : device;
    if (is_npu(device) && std::ranges::find(npus, name, &DeviceStatus::name) == npus.end())
      refuse_device(device, "name one of those that are here, or npu:all",
                    "the last chip of this machine is " + npus.back().name);
  }
}

}  // namespace inkstone
