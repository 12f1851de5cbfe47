#include "app/devices_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/byte_size.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/version.h"

namespace inkstone {
namespace {

constexpr size_t kDeviceColumn = 8, kMaxColumns = 110;

std::string chip_text(const DeviceStatus& device) {
  const std::string chip = device.chip.empty() ? "unknown chip" : device.chip;
  return one_line(chip + (device.simulated ? " (simulated)" : "") +
                  (device.description.empty() ? "" : ", " + device.description));
}

// Lines that end between words, behind a hanging indent as wide as what stands before the first.
std::string wrapped(const std::string& before, std::string_view text) {
  std::string result = before;
  size_t column = kDeviceColumn + (before.starts_with(' ') ? 3 : 0);
  const std::string indent(column, ' ');
  for (column = result.size(); !text.empty();) {
    const size_t end = std::min(text.find(' '), text.size());
    if (column + end > kMaxColumns) {
      while (result.ends_with(' ')) result.pop_back();
      result += "\n" + indent;
      column = indent.size();
    }
    const size_t taken = std::min(end + 1, text.size());
    result += text.substr(0, taken);
    column += taken;
    text.remove_prefix(taken);
  }
  return result + "\n";
}

std::string value_text(const std::optional<double>& value, const char* unit, int digits = 0) {
  return value ? fmt::format("{:.{}f} {}", *value, digits, unit) : "-";
}

std::string bytes_text(const std::optional<uint64_t>& bytes) { return bytes ? byte_text(*bytes) : "-"; }

std::string health_text(const DeviceStatus& device) {
  if (device.health.empty()) return "-";
  if (device.health == "OK" || !device.health_code) return device.health;
  return fmt::format("{} ({:#x})", device.health, *device.health_code);
}

std::string faults_text(const DeviceStatus& device) {
  std::string text;
  for (uint32_t code : device.faults) text += fmt::format("{}{:#010x}", text.empty() ? "" : ", ", code);
  return text;
}

std::string row(const DeviceStatus& device, size_t chip_column) {
  if (!device.present)
    return wrapped(fmt::format("{:<{}}", device.name, kDeviceColumn),
                   (device.simulated ? "absent (simulated): " : "absent: ") + one_line(device.absent_because)) +
           (device.way_out.empty() ? ""
                                   : wrapped(fmt::format("{:{}}-> ", "", kDeviceColumn), one_line(device.way_out)));
  return fmt::format("{:<{}}{:<{}}{:>11}{:>11}{:>9}{:>8}{:>8}{:>9}  {}\n", device.name, kDeviceColumn,
                     chip_text(device), chip_column, bytes_text(device.memory_free), bytes_text(device.memory_total),
                     value_text(device.ai_core_percent, "%"), value_text(device.vector_percent, "%"),
                     value_text(device.temperature_c, "C"), value_text(device.power_w, "W", 1), health_text(device));
}

// Driver and CANN, once for each pair of versions.
std::string versions(std::span<const DeviceStatus> devices) {
  std::string text;
  for (const DeviceStatus& device : devices) {
    std::string line;
    if (!device.driver_version.empty())
      line = fmt::format("driver {}{}", device.driver_version,
                         device.present ? fmt::format(", told by {}", device.source) : "");
    if (!device.cann_version.empty())
      line += fmt::format("{}CANN {} by {}", line.empty() ? "" : "; ", device.cann_version, device.cann_file);
    if (!line.empty() && text.find(line) == std::string::npos) text += one_line(line) + "\n";
  }
  return text;
}

// What several devices have in common stands once.
std::string notes(std::span<const DeviceStatus> devices) {
  std::string text;
  std::map<std::string, std::string> of;  // note -> devices
  for (const DeviceStatus& device : devices) {
    if (!device.faults.empty())
      text += fmt::format("{}: fault codes {}: the driver's guide to health management explains them\n", device.name,
                          faults_text(device));
    for (const std::string& note : device.notes) {
      auto& names = of[note];
      names += (names.empty() ? "" : ", ") + device.name;
    }
  }
  for (const auto& [note, names] : of) text += wrapped(names + ": ", one_line(note));
  return text;
}

std::string details(const DeviceStatus& device) {
  std::string text = "\n" + device.name + "\n";
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty() && value != "-") text += fmt::format("  {:<22}{}\n", name, one_line(value));
  };
  line("chip", device.chip);
  line("is", device.description);
  line("bus", device.bus_id);
  line("memory used by us", bytes_text(device.memory_used_by_us));
  line("largest free block", bytes_text(device.largest_free_block));
  if (device.largest_free_block && device.memory_free)
    line("fragmentation",
         fmt::format("{:.0f} %", 100 * fragmentation(*device.largest_free_block, *device.memory_free)));
  line("told by", device.source);
  for (const DeviceProcess& process : device.processes)
    line("process", fmt::format("{} {} {}", process.id, process.name, bytes_text(process.memory)));
  return text;
}

Json number(const std::optional<uint64_t>& value) { return value ? Json(*value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }
Json text(const std::string& value) { return value.empty() ? Json(nullptr) : Json(clean_utf8(value)); }

JsonObject device_object(const DeviceStatus& device) {
  JsonArray processes, faults, remarks;
  for (const DeviceProcess& process : device.processes)
    processes.push_back(
        JsonObject{{"id", process.id}, {"name", text(process.name)}, {"memory_bytes", number(process.memory)}});
  for (uint32_t code : device.faults) faults.push_back(Json(fmt::format("{:#010x}", code)));
  for (const std::string& note : device.notes) remarks.push_back(text(note));
  std::optional<double> crumbs;
  if (device.largest_free_block && device.memory_free)
    crumbs = fragmentation(*device.largest_free_block, *device.memory_free);
  return {{"name", device.name},
          {"present", device.present},
          {"simulated", device.simulated},
          {"chip", text(device.chip)},
          {"description", text(device.description)},
          {"bus_id", text(device.bus_id)},
          {"absent_because", text(device.absent_because)},
          {"way_out", text(device.way_out)},
          {"memory_total_bytes", number(device.memory_total)},
          {"memory_free_bytes", number(device.memory_free)},
          {"memory_used_by_us_bytes", number(device.memory_used_by_us)},
          {"largest_free_block_bytes", number(device.largest_free_block)},
          {"fragmentation", number(crumbs)},
          {"ai_core_percent", number(device.ai_core_percent)},
          {"vector_percent", number(device.vector_percent)},
          {"temperature_celsius", number(device.temperature_c)},
          {"power_watts", number(device.power_w)},
          {"health", text(device.health)},
          {"health_code", device.health_code ? Json(*device.health_code) : Json(nullptr)},
          {"faults", std::move(faults)},
          {"processes", std::move(processes)},
          {"driver_version", text(device.driver_version)},
          {"cann_version", text(device.cann_version)},
          {"cann_file", text(device.cann_file)},
          {"source", text(device.source)},
          {"notes", std::move(remarks)}};
}

}  // namespace

std::string devices_table(std::span<const DeviceStatus> devices, bool verbose) {
  size_t chip_column = std::string_view("chip").size();
  for (const DeviceStatus& device : devices)
    if (device.present) chip_column = std::max(chip_column, chip_text(device).size());
  chip_column += 2;
  std::string result =
      fmt::format("{:<{}}{:<{}}{:>11}{:>11}{:>9}{:>8}{:>8}{:>9}  {}\n", "device", kDeviceColumn, "chip", chip_column,
                  "free", "memory", "AI core", "vector", "temp", "power", "health");
  for (const DeviceStatus& device : devices) result += row(device, chip_column);
  result += versions(devices) + notes(devices);
  if (verbose)
    for (const DeviceStatus& device : devices) result += details(device);
  return result;
}

JsonObject devices_json(std::span<const DeviceStatus> devices) {
  JsonArray array;
  for (const DeviceStatus& device : devices) array.push_back(device_object(device));
  return {{"devices", std::move(array)}};
}

std::string devices_json_line(std::span<const DeviceStatus> devices, int64_t time) {
  JsonObject object{{"version", kVersion}, {"time", time}};
  for (auto& [key, value] : devices_json(devices)) object.emplace(key, std::move(value));
  return json_text(object) + "\n";
}

}  // namespace inkstone
