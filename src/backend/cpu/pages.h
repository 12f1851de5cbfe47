// Memory for weights and arenas: not touched before it is used, on large pages where the system
// gives them.
#pragma once

#include "base/tensor.h"

namespace inkstone::cpu {

// aligned to 64, not zeroed; throws Error with the size where the machine refuses
Memory allocate_pages(size_t bytes);
void trim_heap();  // what was freed leaves the process

}  // namespace inkstone::cpu
