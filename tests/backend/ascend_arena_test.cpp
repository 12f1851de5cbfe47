// The arithmetic of device memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include "backend/ascend/arena.h"

namespace inkstone::ascend {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(AscendArena, a_slot_has_32_bytes_more_than_its_blocks_and_ends_at_a_multiple_of_64) {
  const size_t rows[][2] = {{0, 64}, {1, 64}, {32, 64}, {33, 128}, {64, 128}, {96, 128}, {97, 192}, {65536, 65600}};
  for (const auto& [length, slot] : rows) EXPECT_EQ(slot_bytes(length), slot) << length;
}

TEST(AscendArena, a_chunk_gives_the_first_hole_that_fits_and_joins_neighbours) {
  Chunk chunk(1024);
  EXPECT_EQ(chunk.take(256), 0u);
  EXPECT_EQ(chunk.take(256), 256u);
  EXPECT_EQ(chunk.take(512), 512u);
  EXPECT_EQ(chunk.take(64), std::nullopt);
  chunk.give(0);
  chunk.give(512);
  EXPECT_EQ(chunk.largest_free(), 512u);
  EXPECT_EQ(chunk.take(128), 0u);
  chunk.give(0);
  chunk.give(256);  // joins both sides
  EXPECT_EQ(chunk.largest_free(), 1024u);
  EXPECT_TRUE(chunk.empty());
  chunk.give(256);  // not taken: nothing happens
  EXPECT_EQ(chunk.used(), 0u);
}

struct Store {  // the memory behind an arena
  std::vector<std::byte*> live;
  int reserved = 0;
  size_t refuse_over = SIZE_MAX;
  Arena arena{[this](size_t bytes) {
                if (bytes > refuse_over) throw std::runtime_error("refused");
                ++reserved;
                live.push_back(static_cast<std::byte*>(std::aligned_alloc(64, bytes)));
                return live.back();
              },
              [this](std::byte* memory) {
                std::erase(live, memory);
                std::free(memory);
              },
              kMiB};
};

TEST(AscendArena, reservations_are_few_and_grow_only_when_nothing_fits) {
  Store store;
  std::vector<Memory> taken;
  for (int i = 0; i < 100; ++i) taken.push_back(store.arena.take(1000));
  EXPECT_EQ(store.reserved, 1);
  taken.clear();
  for (int i = 0; i < 100; ++i) taken.push_back(store.arena.take(1000));
  EXPECT_EQ(store.reserved, 1) << "what was freed is used again";
  taken.push_back(store.arena.take(5 * kMiB));
  EXPECT_EQ(store.reserved, 2);
  EXPECT_EQ(store.arena.use().reservations, 2u);
  EXPECT_EQ(store.arena.use().used + store.arena.use().free, store.arena.use().reserved);
  taken.clear();
  EXPECT_EQ(store.arena.use().used, 0u);
  store.arena.shrink();
  EXPECT_TRUE(store.live.empty());
}

TEST(AscendArena, what_the_device_refuses_changes_nothing) {
  Store store;
  const Memory kept = store.arena.take(100);
  store.refuse_over = 0;
  EXPECT_THROW(store.arena.take(50 * kMiB), std::runtime_error);
  EXPECT_EQ(store.arena.use().used, slot_bytes(100));
}

TEST(AscendArena, slots_never_overlap_and_all_comes_back) {
  Store store;
  std::mt19937 random(1);
  std::vector<std::pair<Memory, size_t>> taken;
  for (int round = 0; round < 3000; ++round) {
    if (taken.empty() || random() % 3) {
      const size_t bytes = random() % 5000;
      taken.emplace_back(store.arena.take(bytes), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(taken.back().first.get()) % 64, 0u);
      std::fill_n(taken.back().first.get(), bytes, static_cast<std::byte>(taken.size() & 255));
    } else {
      std::swap(taken[random() % taken.size()], taken.back());
      taken.pop_back();
    }
  }
  std::sort(taken.begin(), taken.end(), [](const auto& a, const auto& b) { return a.first.get() < b.first.get(); });
  for (size_t i = 1; i < taken.size(); ++i)
    EXPECT_GE(taken[i].first.get() - taken[i - 1].first.get(), static_cast<ptrdiff_t>(slot_bytes(taken[i - 1].second)));
  taken.clear();
  const ArenaUse use = store.arena.use();
  EXPECT_EQ(use.used, 0u);
  EXPECT_EQ(use.free, use.reserved);
}

}  // namespace
}  // namespace inkstone::ascend
