// Values are gathered into storages (a value with all that lies inside it), each alive from its first write to its last
// read. Storages are placed one by one, each in the tightest gap left by those alive at the same time.
#include "compile/memory.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "base/error.h"

namespace inkstone {
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

  // The result of `call` replaces `old`: allowed where nothing reads any of old's storage later, this call reads it only
  // once, and the two are of one size.
  bool replace(const ArenaCall& call, int index, int old) {
    const Place from = place(old);
    if (values_[call.writes].inside >= 0 || from.root == call.writes || from.at != 0) return false;
    if (values_[call.writes].bytes != values_[from.root].bytes || values_[old].bytes != values_[from.root].bytes)
      return false;
    if (lives_[from.root].last > index || lives_[call.writes].first < index) return false;
    const auto here = [&](int read) { return place(read).root == from.root; };
    if (std::count_if(call.reads.begin(), call.reads.end(), here) != 1) return false;
    lives_[from.root].last = std::max(lives_[from.root].last, lives_[call.writes].last);
    values_[call.writes].inside = from.root;
    return true;
  }

  const Life& life(int root) const { return lives_[root]; }
  size_t bytes(int value) const { return values_[value].bytes; }
  bool is_root(int value) const { return values_[value].inside < 0; }

 private:
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

// The tightest gap of at least `bytes` between blocks (sorted by offset), else the first byte above them all.
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

// No order is the best for every program; each is cheap, so all are tried and the smallest arena is taken.
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
  for (const auto& less : kOrders) {
    std::stable_sort(roots.begin(), roots.end(), [&](int a, int b) { return less(storages, a, b); });
    ArenaPlan tried = lay_out(storages, roots, values.size());
    if (plan.offsets.empty() || tried.bytes < plan.bytes) plan = std::move(tried);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const Place place = storages.place(static_cast<int>(i));
    plan.offsets[i] = plan.offsets[place.root] + place.at;
  }
  return plan;
}

}  // namespace inkstone
