#include "diffusion/tokenizer_merges.h"

#include <bit>
#include <functional>
#include <queue>

#include "base/error.h"

namespace inkstone {
namespace {

uint64_t pair_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Merges::Merges(std::vector<Merge> by_rank) : by_rank_(std::move(by_rank)) {
  slots_.resize(std::bit_ceil(2 * by_rank_.size() + 2));
  for (uint32_t rank = 0; rank < by_rank_.size(); ++rank) {
    const uint64_t pair = pair_of(by_rank_[rank].left, by_rank_[rank].right);
    // If a pair is listed twice, the last one counts.
    slots_[slot_of(pair)] = {pair, rank};
  }
}

size_t Merges::slot_of(uint64_t pair) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = (pair * 0x9E3779B97F4A7C15u >> 32) & mask;
  while (slots_[slot].rank != kNone && slots_[slot].pair != pair) slot = (slot + 1) & mask;
  return slot;
}

uint32_t Merges::rank_of(int32_t left, int32_t right) const { return slots_[slot_of(pair_of(left, right))].rank; }

void Merges::apply(std::vector<int32_t>& word) const {
  const size_t size = word.size();
  if (size < 2) return;
  INKSTONE_CHECK(size < kNone, "tokenizer: a word of ", size, " bytes is too long");
  constexpr int32_t kGone = -1;
  struct Neighbours {
    uint32_t before, after;  // kNone at the ends
  };
  std::vector<Neighbours> links(size);
  // Rank and position of each pair that may merge; the queue is sorted by them.
  std::vector<uint64_t> first;
  const auto candidate = [](uint32_t rank, uint32_t at) { return uint64_t{rank} << 32 | at; };
  for (uint32_t i = 0; i < size; ++i) {
    links[i] = {i == 0 ? kNone : i - 1, i + 1 == size ? kNone : i + 1};
    const uint32_t rank = i + 1 == size ? kNone : rank_of(word[i], word[i + 1]);
    if (rank != kNone) first.push_back(candidate(rank, i));
  }
  std::priority_queue queue(std::greater<uint64_t>{}, std::move(first));
  const auto offer = [&](uint32_t at) {
    const uint32_t rank = rank_of(word[at], word[links[at].after]);
    if (rank != kNone) queue.push(candidate(rank, at));
  };
  while (!queue.empty()) {
    const auto at = static_cast<uint32_t>(queue.top());
    const int32_t joined = by_rank_[queue.top() >> 32].joined;
    queue.pop();
    const uint32_t after = links[at].after;
    if (word[at] == kGone || after == kNone) continue;
    // Either may have merged with another token meanwhile.
    const uint32_t now = rank_of(word[at], word[after]);
    if (now == kNone || by_rank_[now].joined != joined) continue;
    word[at] = joined;
    word[after] = kGone;
    links[at].after = links[after].after;
    if (links[at].after != kNone) {
      links[links[at].after].before = at;
      offer(at);
    }
    if (links[at].before != kNone) offer(links[at].before);
  }
  std::erase(word, kGone);
}

}  // namespace inkstone
