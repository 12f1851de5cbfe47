#include "app/memory_watch.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace inkstone {
namespace {

constexpr size_t kBlock = size_t{64} << 20, kMost = kBlock / 10 * 9;

class Pages {  // resident while it lives, and not a moment longer whatever the allocator likes to keep
 public:
  Pages() : at_(mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (at_ != MAP_FAILED) std::memset(at_, 1, kBlock);
  }
  ~Pages() { munmap(at_, kBlock); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

 private:
  void* at_;
};

TEST(MemoryWatch, sees_what_was_there_and_is_gone_again) {
  MemoryWatch watch;
  const MemoryPeaks before = watch.take();
  if (before.resident == 0) GTEST_SKIP() << "the kernel says nothing";
  EXPECT_GT(before.anonymous, 0u);
  EXPECT_GE(before.resident, before.anonymous);
  { const Pages pages; }
  const MemoryPeaks missed = watch.take();
  EXPECT_GE(missed.resident, before.resident + kMost) << "VmHWM misses no moment";
  EXPECT_LT(missed.anonymous, before.anonymous + kMost);
  {
    const Pages pages;
    watch.sample();
  }
  EXPECT_GE(watch.take().anonymous, before.anonymous + kMost);
  EXPECT_GE(watch.overall().resident, missed.resident);
  if (!watch.tells_stages_apart()) GTEST_SKIP() << "the kernel does not let VmHWM begin anew";
  EXPECT_LT(watch.take().resident, missed.resident - kBlock / 2);
}

}  // namespace
}  // namespace inkstone
