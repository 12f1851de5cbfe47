#include "backend/cpu/pages.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>

#include "base/error.h"

namespace inkstone::cpu {

Memory allocate_pages(size_t bytes) {
  constexpr size_t kLarge = 2 << 20, kLine = 64;
  INKSTONE_CHECK(bytes < SIZE_MAX - kLarge, "cannot allocate ", bytes, " bytes");
  const size_t alignment = bytes >= 2 * kLarge ? kLarge : kLine;
  const size_t rounded = (bytes + kLine) / kLine * kLine;
  Memory memory = allocate_aligned(rounded, alignment);
#ifdef MADV_HUGEPAGE
  // only a hint: small pages work too
  if (alignment == kLarge) madvise(memory.get(), rounded / kLarge * kLarge, MADV_HUGEPAGE);
#endif
  return memory;
}

void trim_heap() {
#ifdef __GLIBC__
  // otherwise freed blocks of the heap stay with the process
  malloc_trim(0);
#endif
}

}  // namespace inkstone::cpu
