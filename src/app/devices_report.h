// The devices of this machine, for people and as JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "backend/devices.h"
#include "base/json_fwd.h"

namespace inkstone {

// A row each; absent ones say why, on two lines. With `verbose` all that is known of each stands below the table.
std::string devices_table(std::span<const DeviceStatus> devices, bool verbose);
JsonObject devices_json(std::span<const DeviceStatus> devices);  // unset values are null
// The same as one line of text, with the version and the time, in seconds since 1970.
std::string devices_json_line(std::span<const DeviceStatus> devices, int64_t time);

}  // namespace inkstone
