// The number by which gateway, queue, batcher and worker know a job.
#pragma once

#include <cstdint>

namespace inkstone::serve {

using JobId = uint64_t;

}  // namespace inkstone::serve
