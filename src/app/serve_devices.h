// Whether a server's devices are there, before any worker is started on them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/devices.h"

namespace inkstone {

inline constexpr const char* kAllNpus = "npu:all";

// "npu:all" among these names replaced by each chip that can be used. Throws Error where there is none.
std::vector<std::string> with_all_npus(const std::vector<std::string>& devices, std::span<const DeviceStatus> there);

// Throws Error, the way out first, for one that is known to be absent. `verbose`: it says where was
// looked.
void check_devices(const std::vector<std::string>& devices, bool verbose);

}  // namespace inkstone
