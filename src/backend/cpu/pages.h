// Memory for weights and arenas. It is not touched before it is used, and has large pages if the
// system gives them.
#pragma once

#include "base/tensor.h"

namespace inkstone::cpu {

// Aligned to 64, not zeroed. Throws Error with the size if the machine refuses.
Memory allocate_pages(size_t bytes);
void trim_heap();  // freed memory leaves the process

}  // namespace inkstone::cpu
