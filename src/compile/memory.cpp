// A storage is a value with all values that lie inside it. It is alive from its first write to its
// last read. Storages are placed one by one, each in the smallest gap that is left by those alive
// at the same time.
#include "compile/memory.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "base/error.h"

namespace inkstone::compile {
namespace {

constexpr int kNever = std::numeric_limits<int>::max();

struct Life {
  int first = kNever, last = -1;
  void meet(int call) {
    first = std::min(first, call);
    last = std::max(last, call);
  }
  size_t length() const { return static_cast<size_t>(last - first) + 1; }
  bool used() const { return first <= last; }
  bool meets(const Life& other) const { return first <= other.last && other.first <= last; }
};

struct Place {
  int root;
  size_t at;  // bytes from the root's first
};

class Storages {
 public:
  explicit Storages(std::span<const ArenaValue> values) : values_(values.begin(), values.end()), lives_(values.size()) {
    for (size_t i = 0; i < values_.size(); ++i) {
      const int whole = values_[i].inside;
      if (whole < 0) continue;
      const size_t room = values_.at(whole).bytes;
      INKSTONE_CHECK(values_[i].at <= room && values_[i].bytes <= room - values_[i].at, "memory plan: value ", i,
                     " of ", values_[i].bytes, " bytes at ", values_[i].at, " does not fit into value ", whole, " of ",
                     room);
    }
  }

  Place place(int value) const {
    size_t at = 0, steps = 0;
    for (; values_[value].inside >= 0; value = values_[value].inside) {
      at += values_[value].at;
      INKSTONE_CHECK(++steps <= values_.size(), "memory plan: value ", value, " lies inside itself");
    }
    return {value, at};
  }

  void live(int value, int call) { lives_[place(value).root].meet(call); }

  // Lets the result of `call` overwrite `old`. That is possible if nothing reads old's storage
  // later, nothing of the result's storage is written before, this call reads old's storage only
  // once, and the two values have the same size. The smaller storage then lies inside the larger
  // one. It is not done if the smaller one is less than half of the larger, which would keep too
  // much memory alive.
  bool replace(const ArenaCall& call, int index, int old) {
    const Place from = place(old), to = place(call.writes);
    if (from.root == to.root || values_[call.writes].bytes != values_[old].bytes) return false;
    if (lives_[from.root].last > index || lives_[to.root].first < index) return false;
    const auto here = [&](int read) { return place(read).root == from.root; };
    if (std::count_if(call.reads.begin(), call.reads.end(), here) != 1) return false;
    return put_inside(from, to) || put_inside(to, from);
  }

  const Life& life(int root) const { return lives_[root]; }
  size_t bytes(int value) const { return values_[value].bytes; }
  bool is_root(int value) const { return values_[value].inside < 0; }

 private:
  // Puts `inner`'s storage into `outer`'s, so that both places have the same address.
  bool put_inside(Place inner, Place outer) {
    const size_t room = values_[outer.root].bytes, size = values_[inner.root].bytes;
    if (outer.at < inner.at || (outer.at - inner.at) % kArenaAlignment != 0) return false;
    if (size > room || outer.at - inner.at > room - size || size < room / 2) return false;
    values_[inner.root].inside = outer.root;
    values_[inner.root].at = outer.at - inner.at;
    lives_[outer.root].meet(lives_[inner.root].first);
    lives_[outer.root].meet(lives_[inner.root].last);
    return true;
  }

  std::vector<ArenaValue> values_;
  std::vector<Life> lives_;
};

size_t aligned(size_t bytes) {
  INKSTONE_CHECK(bytes <= std::numeric_limits<size_t>::max() / 4, "memory plan: a value of ", bytes, " bytes");
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

struct Block {
  size_t offset, bytes;
  Life life;
};

// The offset of the smallest gap of at least `bytes` between blocks (sorted by offset), else the
// end of the last block.
size_t best_gap(const std::vector<Block>& blocks, const Life& life, size_t bytes) {
  size_t end = 0, best = 0;
  std::optional<size_t> tightest;
  for (const Block& block : blocks) {
    if (!block.life.meets(life)) continue;
    if (block.offset >= end + bytes && (!tightest || block.offset - end < *tightest)) {
      tightest = block.offset - end;
      best = end;
    }
    end = std::max(end, block.offset + block.bytes);
  }
  return tightest ? best : end;
}

// No order is the best for every program. Each is cheap, so all are tried, and the smallest arena
// is taken. Each is tried several times: storages that ended at the top of the arena are placed
// first in the next round.
constexpr int kRounds = 32;
using Order = bool (*)(const Storages&, int, int);
constexpr Order kOrders[] = {
    [](const Storages& s, int a, int b) { return s.bytes(a) > s.bytes(b); },
    [](const Storages& s, int a, int b) { return s.life(a).first < s.life(b).first; },
    [](const Storages& s, int a, int b) { return s.bytes(a) * s.life(a).length() > s.bytes(b) * s.life(b).length(); },
    [](const Storages& s, int a, int b) { return s.life(a).length() > s.life(b).length(); },
};

ArenaPlan lay_out(const Storages& storages, std::span<const int> roots, size_t values) {
  ArenaPlan plan;
  plan.offsets.resize(values);
  std::vector<Block> blocks;
  for (const int root : roots) {
    const Life& life = storages.life(root);
    const size_t size = aligned(storages.bytes(root)), offset = best_gap(blocks, life, size);
    INKSTONE_CHECK(offset <= std::numeric_limits<size_t>::max() / 2, "memory plan: more than ", offset, " bytes");
    plan.offsets[root] = offset;
    plan.bytes = std::max(plan.bytes, offset + size);
    const auto after = [](size_t at, const Block& block) { return at < block.offset; };
    blocks.insert(std::upper_bound(blocks.begin(), blocks.end(), offset, after), Block{offset, size, life});
  }
  return plan;
}

// The most bytes that are alive at once. No plan can be smaller.
size_t peak_alive(const Storages& storages, std::span<const int> roots, size_t calls) {
  std::vector<ptrdiff_t> change(calls + 1);
  for (const int root : roots) {
    change[storages.life(root).first] += static_cast<ptrdiff_t>(aligned(storages.bytes(root)));
    change[storages.life(root).last + 1] -= static_cast<ptrdiff_t>(aligned(storages.bytes(root)));
  }
  ptrdiff_t alive = 0, peak = 0;
  for (const ptrdiff_t step : change) peak = std::max(peak, alive += step);
  return static_cast<size_t>(peak);
}

}  // namespace

ArenaPlan plan_arena(std::span<const ArenaValue> values, std::span<const ArenaCall> calls) {
  Storages storages(values);
  for (size_t i = 0; i < calls.size(); ++i) {
    for (const int read : calls[i].reads) storages.live(read, static_cast<int>(i));
    if (calls[i].writes >= 0) storages.live(calls[i].writes, static_cast<int>(i));
  }
  for (size_t i = 0; i < calls.size(); ++i)
    for (const int old : calls[i].overwrites)
      if (storages.replace(calls[i], static_cast<int>(i), old)) break;

  std::vector<int> roots;
  for (int i = 0; i < static_cast<int>(values.size()); ++i)
    if (storages.is_root(i) && storages.life(i).used()) roots.push_back(i);
  ArenaPlan plan;
  const size_t bound = peak_alive(storages, roots, calls.size());
  for (const auto& less : kOrders) {
    std::stable_sort(roots.begin(), roots.end(), [&](int a, int b) { return less(storages, a, b); });
    for (int round = 0; round < kRounds && (plan.offsets.empty() || plan.bytes > bound); ++round) {
      ArenaPlan tried = lay_out(storages, roots, values.size());
      const auto at_the_top = [&, top = tried.bytes](int root) {
        return tried.offsets[root] + aligned(storages.bytes(root)) == top;
      };
      std::stable_partition(roots.begin(), roots.end(), at_the_top);
      if (plan.offsets.empty() || tried.bytes < plan.bytes) plan = std::move(tried);
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const Place place = storages.place(static_cast<int>(i));
    plan.offsets[i] = plan.offsets[place.root] + place.at;
  }
  return plan;
}

ArenaPlan ArenaPlanner::plan(std::span<const ArenaValue> values, std::span<const ArenaCall> calls) {
  if (!std::ranges::equal(values, values_) || !std::ranges::equal(calls, calls_)) {
    plan_ = plan_arena(values, calls);
    values_.assign(values.begin(), values.end());
    calls_.assign(calls.begin(), calls.end());
  }
  return plan_;
}

}  // namespace inkstone::compile
