// Settings from the environment: INKSTONE_MAX_QUEUE is --max-queue. For a server in a container or a unit.
#pragma once

#include "app/options.h"

namespace inkstone {

// Sets what the options do not have yet: flags are nearer. Only what may stand in a config file. Throws UsageError that names the
// variable. A switch takes true or false.
void apply_environment(Command command, Options& options);
std::string variable_of(const Setting& setting);  // "INKSTONE_MAX_QUEUE"

}  // namespace inkstone
