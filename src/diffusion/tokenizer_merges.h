// Byte-pair merges. Of all neighbours in a word that may merge, the pair with the lowest rank is
// merged first; of equal ranks, the leftmost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace inkstone {

struct Merge {
  int32_t left, right, joined;
};

class Merges {
 public:
  explicit Merges(std::vector<Merge> by_rank = {});

  // Merges the word's tokens in place, in O(n log n) for any word.
  void apply(std::vector<int32_t>& word) const;

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  struct Slot {
    uint64_t pair = 0;
    uint32_t rank = kNone;
  };
  size_t slot_of(uint64_t pair) const;
  uint32_t rank_of(int32_t left, int32_t right) const;  // kNone if they do not merge

  std::vector<Merge> by_rank_;
  // a power of two, at most half full
  std::vector<Slot> slots_;
};

}  // namespace inkstone
