// The memory plan against its own promise, checked byte by byte in random programs.
#include "compile/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"

namespace inkstone {
namespace {

// Calls in a row: call i reads what it is given and writes value i.
struct Chain {
  std::vector<compile::ArenaValue> values;
  std::vector<compile::ArenaCall> calls;
  void call(size_t bytes, std::vector<int> reads, std::vector<int> overwrites = {}) {
    calls.push_back({std::move(reads), static_cast<int>(values.size()), std::move(overwrites)});
    values.push_back({bytes});
  }
  compile::ArenaPlan plan() const { return compile::plan_arena(values, calls); }
};

TEST(Memory, a_chain_needs_two_values_at_a_time) {
  Chain chain;
  chain.call(64, {});
  for (int i = 1; i < 10; ++i) chain.call(64, {i - 1});
  EXPECT_EQ(chain.plan().bytes, 128u);
}

TEST(Memory, a_chain_in_place_needs_one) {
  Chain chain;
  chain.call(100, {});
  for (int i = 1; i < 10; ++i) chain.call(100, {i - 1}, {i - 1});
  const compile::ArenaPlan plan = chain.plan();
  EXPECT_EQ(plan.bytes, 128u);
  for (const size_t offset : plan.offsets) EXPECT_EQ(offset, plan.offsets[0]);
}

TEST(Memory, what_is_read_later_is_not_written_over) {
  Chain chain;
  chain.call(64, {});
  chain.call(64, {0}, {0});
  chain.call(64, {0, 1}, {1});
  const compile::ArenaPlan plan = chain.plan();
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
  EXPECT_EQ(plan.offsets[1], plan.offsets[2]);
}

TEST(Memory, what_is_read_twice_by_a_call_is_not_written_over) {
  Chain chain;
  chain.call(64, {});
  // a convolution of x onto x, say
  chain.call(64, {0, 0}, {0});
  const compile::ArenaPlan plan = chain.plan();
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
}

TEST(Memory, a_view_keeps_its_whole_alive) {
  Chain chain;
  chain.call(128, {});
  chain.call(64, {});
  chain.values[1] = {64, 0, 64};
  chain.calls[1] = {};  // a view is not computed
  chain.call(128, {});
  chain.call(64, {1});
  const compile::ArenaPlan plan = chain.plan();
  EXPECT_EQ(plan.offsets[1], plan.offsets[0] + 64);
  EXPECT_NE(plan.offsets[2], plan.offsets[0]);
}

TEST(Memory, pieces_of_a_concatenation_lie_side_by_side) {
  Chain chain;
  chain.call(64, {});
  chain.call(64, {});
  chain.call(128, {0, 1});
  chain.values[0] = {64, 2, 0};
  chain.values[1] = {64, 2, 64};
  const compile::ArenaPlan plan = chain.plan();
  EXPECT_EQ(plan.bytes, 128u);
  EXPECT_EQ(plan.offsets[0] + 64, plan.offsets[1]);
}

// Two bands with room for rows of their neighbours: conv onto the first as its residual, both with
// that room.
TEST(Memory, a_result_with_room_around_it_replaces_a_value_with_room_around_it) {
  Chain chain;
  chain.call(64, {});
  chain.call(192, {});
  chain.call(64, {0}, {0});
  chain.call(256, {});
  chain.call(64, {3});
  chain.values[0] = {64, 1, 64};
  chain.values[2] = {64, 3, 128};
  const compile::ArenaPlan plan = chain.plan();
  EXPECT_EQ(plan.offsets[2], plan.offsets[0]);
  EXPECT_EQ(plan.offsets[2], plan.offsets[3] + 128);
  EXPECT_EQ(plan.bytes, 256u + 64);
}

TEST(Memory, a_result_does_not_keep_a_storage_alive_that_is_much_larger) {
  Chain chain;
  chain.call(64, {});
  chain.call(1024, {});
  chain.call(64, {0}, {0});
  chain.call(1024, {2});
  chain.call(64, {2, 3});
  chain.values[0] = {64, 1, 0};
  EXPECT_EQ(chain.plan().bytes, 1024u + 128);
}

TEST(Memory, refuses_parts_larger_than_the_whole_and_rings) {
  EXPECT_THROW(compile::plan_arena(std::vector<compile::ArenaValue>{{64}, {64, 0, 1}}, {}), Error);
  EXPECT_THROW(compile::plan_arena(std::vector<compile::ArenaValue>{{64, 1, 0}, {64, 0, 0}}, {}), Error);
  const std::vector<compile::ArenaCall> calls{{{}, 0, {}}};
  EXPECT_THROW(compile::plan_arena(std::vector<compile::ArenaValue>{{~size_t{0}}}, calls), Error);
}

// Runs a random program on an arena of names: every byte remembers which value was last written
// there. A read must find its own name, or that of a value that it was declared to share with.
struct RandomProgram {
  Chain chain;
  std::vector<bool> view;
  // that was computed in its place inside this value before the rest of it, or -1
  std::vector<int> piece;

  explicit RandomProgram(std::mt19937& random) {
    const auto below = [&](size_t n) { return static_cast<int>(random() % n); };
    while (chain.values.size() < 40) {
      const int i = static_cast<int>(chain.values.size());
      const size_t bytes = 1 + below(400);
      std::vector<int> reads;
      for (int k = below(3); i > 0 && k >= 0; --k) reads.push_back(below(2) ? i - 1 - below(std::min(i, 4)) : below(i));
      const bool make_view = i > 0 && below(5) == 0;
      chain.call(bytes, reads, below(2) ? reads : std::vector<int>{});
      view.push_back(make_view);
      piece.push_back(-1);
      if (!reads.empty() && below(2)) chain.values[i].bytes = chain.values[reads[0]].bytes;
      if (make_view) {
        const int whole = below(i);
        const int at = below(chain.values[whole].bytes);
        chain.values[i] = {size_t{1} + below(chain.values[whole].bytes - at), whole, static_cast<size_t>(at)};
        chain.calls[i] = {};
      } else if (below(4) == 0) {  // the next value has this one inside, and something around it
        const size_t at = compile::kArenaAlignment * below(3);
        chain.call(at + chain.values[i].bytes + 64 * below(3), i > 0 ? std::vector<int>{below(i)} : std::vector<int>{});
        chain.values[i] = {chain.values[i].bytes, i + 1, at};
        view.push_back(false);
        piece.push_back(i);
      }
    }
  }

  // The value whose write filled this byte of a value.
  int writer(int value, size_t byte) const {
    const std::vector<compile::ArenaValue>& values = chain.values;
    for (; view[value]; value = values[value].inside) byte += values[value].at;
    const int part = piece[value];
    return part >= 0 && byte >= values[part].at && byte - values[part].at < values[part].bytes ? part : value;
  }
};

TEST(Memory, no_random_program_reads_what_another_value_wrote_there) {
  std::mt19937 random(7);
  size_t taken = 0, taken_by_pieces = 0;
  for (int round = 0; round < 300; ++round) {
    const RandomProgram program(random);
    const std::vector<compile::ArenaValue>& values = program.chain.values;
    const std::vector<compile::ArenaCall>& calls = program.chain.calls;
    const compile::ArenaPlan plan = program.chain.plan();
    std::vector<int> memory(plan.bytes, -1);
    for (size_t i = 0; i < calls.size(); ++i) {
      for (const int read : calls[i].reads)
        for (size_t b = 0; b < values[read].bytes; ++b)
          ASSERT_EQ(memory.at(plan.offsets[read] + b), program.writer(read, b));
      if (calls[i].writes < 0) continue;
      const int result = calls[i].writes;
      if (values[result].inside < 0 && program.piece[result] < 0) {
        ASSERT_EQ(plan.offsets[result] % compile::kArenaAlignment, 0u);
      }
      // what is read and may not be replaced is not touched by the result
      for (const int read : calls[i].reads) {
        const auto& over = calls[i].overwrites;
        const bool may =
            std::find(over.begin(), over.end(), read) != over.end() && plan.offsets[read] == plan.offsets[result];
        const bool apart = plan.offsets[read] >= plan.offsets[result] + values[result].bytes ||
                           plan.offsets[result] >= plan.offsets[read] + values[read].bytes;
        ASSERT_TRUE(may || apart);
        taken += may;
        taken_by_pieces += may && values[result].inside >= 0;
      }
      for (size_t b = 0; b < values[result].bytes; ++b)
        if (program.writer(result, b) == result) memory.at(plan.offsets[result] + b) = result;
    }
  }
  EXPECT_GT(taken, 100u);  // in-place results did occur
  EXPECT_GT(taken_by_pieces, 20u);
}

TEST(Memory, is_near_the_least_possible) {
  std::mt19937 random(11);
  double ratio = 0;
  for (int round = 0; round < 100; ++round) {
    Chain chain;
    for (int i = 0; i < 60; ++i) {
      std::vector<int> reads;
      for (int k = 0; i > 0 && k < 2; ++k) reads.push_back(i - 1 - static_cast<int>(random() % std::min(i, 5)));
      chain.call(64 * (1 + random() % 50), reads);
    }
    std::vector<int> last(chain.values.size());
    for (size_t i = 0; i < chain.calls.size(); ++i) {
      last[i] = static_cast<int>(i);
      for (const int read : chain.calls[i].reads) last[read] = static_cast<int>(i);
    }
    // the most that is alive at once: no plan can be below
    size_t peak = 0;
    for (size_t call = 0; call < chain.calls.size(); ++call) {
      size_t alive = 0;
      for (size_t v = 0; v <= call; ++v)
        if (last[v] >= static_cast<int>(call)) alive += chain.values[v].bytes;
      peak = std::max(peak, alive);
    }
    const compile::ArenaPlan plan = chain.plan();
    EXPECT_GE(plan.bytes, peak);
    ratio += static_cast<double>(plan.bytes) / static_cast<double>(peak) / 100;
  }
  EXPECT_LT(ratio, 1.1);
}

}  // namespace
}  // namespace inkstone
