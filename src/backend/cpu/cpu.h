// The backend `cpu`: convolutions and matmuls by oneDNN, everything else by kernels/. A row's bits do not depend on the
// rows beside it. A program runs on as many threads as were set when it was compiled.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace inkstone {

std::unique_ptr<Backend> open_cpu_backend();  // outlives its programs, which use its packed weights

}  // namespace inkstone
