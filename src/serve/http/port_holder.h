// Finds the process that holds a TCP port, for the error that says the port is taken.
#pragma once

#include <cstdint>
#include <string>

namespace inkstone::http {

// " (held by redis-server, process 12)", or empty if the system does not say.
std::string port_holder(uint16_t port);

}  // namespace inkstone::http
