#include "backend/cpu/device.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "backend/cpu/kernels/kernels.h"
#include "base/parallel.h"

namespace inkstone::cpu {
namespace {

// "model name	: AMD EPYC" in /proc/cpuinfo; "MemAvailable:  123 kB" in /proc/meminfo
std::string field(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    const size_t begin = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

size_t kilobytes(const char* key) { return std::strtoull(field("/proc/meminfo", key).c_str(), nullptr, 10) << 10; }

constexpr size_t kNoLimit = ~size_t{0};

size_t number(const std::filesystem::path& file) {
  std::ifstream in(file);
  size_t value = kNoLimit;
  return in >> value ? value : kNoLimit;  // "max", or no such file
}

// Pages of files that the kernel would free, from memory.stat.
size_t reclaimable(const std::filesystem::path& folder) {
  std::ifstream in(folder / "memory.stat");
  std::string key;
  for (size_t value; in >> key >> value;)
    if (key == "inactive_file" || key == "total_inactive_file") return value;
  return 0;
}

struct Limit {
  size_t total = kNoLimit, free = kNoLimit;
};

void tighten(Limit& limit, const std::filesystem::path& folder, const char* max_file, const char* used_file) {
  const size_t total = number(folder / max_file), now = number(folder / used_file);
  if (total == kNoLimit || now == kNoLimit) return;
  limit.total = std::min(limit.total, total);
  limit.free = std::min(limit.free, total - std::min(total, now - std::min(now, reclaimable(folder))));
}

// The process's group and all above it. Version 2 lists it as "0::/path", version 1 as
// "5:memory:/path".
Limit group_limit() {
  Limit limit;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t path_at = line.rfind(':');
    if (path_at == std::string::npos) continue;
    const bool second = line.compare(0, 3, "0::") == 0, first = line.find(":memory:") != std::string::npos;
    if (!first && !second) continue;
    const std::filesystem::path root = first ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    for (std::filesystem::path group = line.substr(path_at + 1);; group = group.parent_path()) {
      const std::filesystem::path folder = root / group.relative_path();
      first ? tighten(limit, folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
            : tighten(limit, folder, "memory.max", "memory.current");
      if (group == group.parent_path()) break;
    }
  }
  return limit;
}

}  // namespace

DeviceInfo describe_cpu() {
  const Limit limit = group_limit();
  DeviceInfo info;
  info.name = "cpu";
  info.bf16 = kernels::table().bf16;
  const std::string model = field("/proc/cpuinfo", "model name");
  info.description = (model.empty() ? "CPU" : model) + ", " + std::to_string(threads()) +
                     (threads() == 1 ? " thread, " : " threads, ") + kernels::table().name +
                     (info.bf16 ? " with bf16" : "");
  info.memory_total = std::min(kilobytes("MemTotal"), limit.total);
  info.memory_free = std::min(kilobytes("MemAvailable"), limit.free);
  return info;
}

}  // namespace inkstone::cpu
