// Who has a TCP port, for the error that says it is taken.
#pragma once

#include <cstdint>
#include <string>

namespace inkstone::http {

// " (held by redis-server, process 12)", or empty where the system does not say.
std::string port_holder(uint16_t port);

}  // namespace inkstone::http
