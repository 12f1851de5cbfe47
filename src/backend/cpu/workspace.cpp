#include "backend/cpu/workspace.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace inkstone::cpu {
namespace {

constexpr size_t kLarge = 2 << 20;                                // a huge page
constexpr size_t kMax = size_t{1} << 40, kMin = size_t{1} << 32;  // addresses, not memory

}  // namespace

Workspace::~Workspace() {
  if (begin_) munmap(begin_, reserved_);
}

std::byte* Workspace::grow(size_t bytes) {
  INKSTONE_CHECK(bytes <= kMax - kLarge, "a program that computes in ", bytes, " bytes");
  // If the address space is limited (ulimit -v), a smaller reservation must do.
  for (reserved_ = begin_ ? reserved_ : kMax; !begin_ && reserved_ >= kMin; reserved_ /= 4) {
    void* const pages = mmap(nullptr, reserved_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) continue;
    begin_ = static_cast<std::byte*>(pages);
    break;
  }
  const size_t rounded = (bytes + kLarge - 1) / kLarge * kLarge;
  if (rounded <= bytes_) return begin_;
  if (!begin_ || rounded > reserved_ || mprotect(begin_, rounded, PROT_READ | PROT_WRITE) != 0)
    throw Error("out of memory: the machine refused " + std::to_string(bytes) + " bytes (" + std::strerror(errno) +
                    "); a smaller size or --memory-budget needs less",
                INKSTONE_HERE, Error::Kind::kOutOfMemory);
#ifdef MADV_HUGEPAGE
  // only a hint: small pages work too
  madvise(begin_, rounded, MADV_HUGEPAGE);
#endif
  bytes_ = rounded;
  return begin_;
}

void Workspace::trim() {
  if (bytes_) madvise(begin_, bytes_, MADV_DONTNEED);
}

}  // namespace inkstone::cpu
