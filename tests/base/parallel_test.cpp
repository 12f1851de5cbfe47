// Work is split without a gap or an overlap, and the first failure comes back to the caller.
#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace inkstone {
namespace {

class Parallel : public testing::Test {
 protected:
  void SetUp() override { had_ = threads(); }
  void TearDown() override { set_threads(had_); }
  int had_ = 1;
};

TEST_F(Parallel, every_index_is_visited_once) {
  for (const int cores : {1, 2, 3, 8}) {
    set_threads(cores);
    EXPECT_EQ(threads(), cores);
    for (const int64_t count : {1, 2, 7, 64, 1000}) {
      for (const int64_t grain : {0, 1, 10, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
        parallel_for(count, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        for (const auto& visit : visits) ASSERT_EQ(visit, 1) << cores << " threads, " << count << " by " << grain;
      }
    }
  }
}

TEST_F(Parallel, no_work_calls_nobody) {
  for (const int64_t count : {0, -3}) parallel_for(count, 1, [](int64_t, int64_t) { FAIL(); });
}

TEST_F(Parallel, less_than_a_grain_stays_whole) {
  set_threads(4);
  int calls = 0;
  parallel_for(10, 10, [&](int64_t begin, int64_t end) {
    ++calls;
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 10);
  });
  EXPECT_EQ(calls, 1);
}

TEST_F(Parallel, pieces_are_not_smaller_than_the_grain) {
  set_threads(4);
  std::mutex mutex;
  std::vector<int64_t> sizes;
  parallel_for(25, 10, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    sizes.push_back(end - begin);
  });
  int small = 0;
  for (const int64_t size : sizes) small += size < 10;
  EXPECT_LE(small, 1);
}

TEST_F(Parallel, a_failure_comes_back) {
  for (const int cores : {1, 4}) {
    set_threads(cores);
    EXPECT_THROW(parallel_for(100, 1,
                              [](int64_t begin, int64_t) {
                                if (begin == 0) throw std::runtime_error("piece");
                              }),
                 std::runtime_error);
  }
}

TEST_F(Parallel, work_inside_work_is_done) {
  set_threads(4);
  std::atomic<int64_t> sum = 0;
  parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) parallel_for(100, 1, [&](int64_t from, int64_t to) { sum += to - from; });
  });
  EXPECT_EQ(sum, 800);
}

TEST_F(Parallel, there_is_always_a_core) {
  EXPECT_GE(usable_cores(), 1);
  set_threads(0);
  EXPECT_EQ(threads(), 1);
}

}  // namespace
}  // namespace inkstone
