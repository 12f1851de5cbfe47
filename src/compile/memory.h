// Gives each value of a program an offset in one arena, before anything runs. It computes only with
// sizes and with which call reads which value. Two values share bytes only if one is declared to
// lie inside the other, if a call may write over a value that nothing reads later, or if they are
// never alive at the same time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace inkstone::compile {

constexpr size_t kArenaAlignment = 64;

struct ArenaValue {
  size_t bytes = 0;
  // The value that contains this one (this one is a view, or a piece of a concatenation).
  int inside = -1;
  size_t at = 0;  // bytes from that value's first
  bool operator==(const ArenaValue&) const = default;
};

struct ArenaCall {
  std::vector<int> reads;
  int writes = -1;  // -1: nothing in the arena
  // Values that it reads and whose bytes the result may overwrite.
  std::vector<int> overwrites;
  bool operator==(const ArenaCall&) const = default;
};

struct ArenaPlan {
  std::vector<size_t> offsets;  // of each value
  size_t bytes = 0;             // of the arena
};

// Calls run in the order given. A value that no call writes or reads takes no bytes unless its
// parts do. Throws Error if a part does not fit into the value that contains it, or if the sum
// overflows.
ArenaPlan plan_arena(std::span<const ArenaValue> values, std::span<const ArenaCall> calls);

// The same, and of the programs that are alike (the blocks of a network) only the first is planned.
class ArenaPlanner {
 public:
  ArenaPlan plan(std::span<const ArenaValue> values, std::span<const ArenaCall> calls);

 private:
  std::vector<ArenaValue> values_;  // of the last plan
  std::vector<ArenaCall> calls_;
  ArenaPlan plan_;
};

}  // namespace inkstone::compile
