// This process's memory as the kernel reports it, in bytes (0 if it does not).
#pragma once

#include <cstddef>

namespace inkstone {

size_t resident_bytes();       // now
size_t peak_resident_bytes();  // since the start or forget_peak()
// now: pages that are in no file
size_t anonymous_bytes();
// Now: pages of mapped files, including the program's own. The kernel may drop them.
size_t file_backed_bytes();
// Resets peak_resident_bytes(); returns false if the kernel does not allow it.
bool forget_peak();

}  // namespace inkstone
