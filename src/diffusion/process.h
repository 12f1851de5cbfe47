// What the kernel says of this process's memory, in bytes (0 where it says nothing).
#pragma once

#include <cstddef>

namespace inkstone {

size_t resident_bytes();       // now
size_t peak_resident_bytes();  // at most, since the start

}  // namespace inkstone
