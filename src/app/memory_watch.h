// The most memory that a stretch of work had resident, by the kernel's own count.
#pragma once

#include <cstddef>

namespace inkstone {

struct MemoryPeaks {                      // bytes
  size_t resident = 0;                    // VmHWM: no moment is missed
  size_t anonymous = 0, file_backed = 0;  // RssAnon, RssFile: the highest of the samples

  void raise_to(const MemoryPeaks& other);
};

class MemoryWatch {
 public:
  MemoryWatch() { restart(); }
  void sample();
  MemoryPeaks take();                                      // since the last take()
  const MemoryPeaks& overall() const { return overall_; }  // of all that was taken
  // False where the kernel does not let VmHWM begin anew: then `resident` is the whole process's so far.
  bool tells_stages_apart() const { return restarted_; }

 private:
  void restart();

  MemoryPeaks peaks_, overall_;
  bool restarted_ = false;
};

}  // namespace inkstone
