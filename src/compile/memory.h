// Where the values of a program lie: one arena, an offset for each value, known before anything
// runs.
// Pure arithmetic on sizes and on who reads what. Two values share bytes only where one is declared
// to lie inside the other, where a call may write over a value that nothing reads later, or where
// their lives do not meet.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace inkstone::compile {

constexpr size_t kArenaAlignment = 64;

struct ArenaValue {
  size_t bytes = 0;
  // the value that it is a part of (a view of it, or a piece of a concatenation)
  int inside = -1;
  size_t at = 0;  // bytes from that value's first
};

struct ArenaCall {
  std::vector<int> reads;
  int writes = -1;  // -1: nothing in the arena
  // reads whose bytes the result may replace while it is computed
  std::vector<int> overwrites;
};

struct ArenaPlan {
  std::vector<size_t> offsets;  // of each value
  size_t bytes = 0;             // of the arena
};

// Calls run in their order. A value that no call writes or reads costs nothing unless its parts do.
// Throws Error where a part does not fit into its whole, or where the sum overflows.
ArenaPlan plan_arena(std::span<const ArenaValue> values, std::span<const ArenaCall> calls);

}  // namespace inkstone::compile
