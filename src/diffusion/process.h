// What the kernel says of this process's memory, in bytes (0 where it says nothing).
#pragma once

#include <cstddef>

namespace inkstone {

size_t resident_bytes();       // now
size_t peak_resident_bytes();  // at most, since the start or since forget_peak()
size_t anonymous_bytes();      // now: what is this process's own and in no file
size_t file_backed_bytes();    // now: pages of mapped files, the program's own among them; the kernel may drop them
bool forget_peak();            // peak_resident_bytes() begins anew from now; false where the kernel does not let us

}  // namespace inkstone
