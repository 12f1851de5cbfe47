// The backend `cpu`: our own kernels (kernels/), or oneDNN's convolutions and matmuls if those are
// faster. A row's bits do not depend on the rows beside it. A program runs on as many threads as
// were set when it was compiled.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace inkstone {

// Must outlive its programs, which use its packed weights.
std::unique_ptr<Backend> open_cpu_backend();

}  // namespace inkstone
