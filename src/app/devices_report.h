// The devices of this machine, for people and as JSON.
#pragma once

#include <span>
#include <string>

#include "backend/devices.h"
#include "base/json_fwd.h"

namespace inkstone {

// A row each; absent ones say why, on two lines. With `verbose` all that is known of each stands below the table.
std::string devices_table(std::span<const DeviceStatus> devices, bool verbose);
JsonObject devices_json(std::span<const DeviceStatus> devices);  // unset values are null

}  // namespace inkstone
