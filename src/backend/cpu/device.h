// What this machine is, for users and for the memory plan.
#pragma once

#include "backend/backend.h"

namespace inkstone::cpu {

// Memory is what this process may use: the machine's, or its control group's where that is less.
DeviceInfo describe_cpu();

}  // namespace inkstone::cpu
