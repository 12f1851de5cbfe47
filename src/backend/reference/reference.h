// The backend `reference`: plain fp32 loops, one for each op. It defines what the ops mean; every
// other backend is tested against it.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace inkstone {

std::unique_ptr<Backend> open_reference_backend();

}  // namespace inkstone
