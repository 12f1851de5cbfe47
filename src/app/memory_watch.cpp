#include "app/memory_watch.h"

#include <algorithm>

#include "diffusion/process.h"

namespace inkstone {

void MemoryPeaks::raise_to(const MemoryPeaks& other) {
  resident = std::max(resident, other.resident);
  anonymous = std::max(anonymous, other.anonymous);
  file_backed = std::max(file_backed, other.file_backed);
}

void MemoryWatch::restart() {
  restarted_ = forget_peak();
  peaks_ = {};
  sample();
}

void MemoryWatch::sample() { peaks_.raise_to({peak_resident_bytes(), anonymous_bytes(), file_backed_bytes()}); }

MemoryPeaks MemoryWatch::take() {
  sample();
  const MemoryPeaks taken = peaks_;
  overall_.raise_to(taken);
  restart();
  return taken;
}

}  // namespace inkstone
