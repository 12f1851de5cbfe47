#include "backend/ascend/arena.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone::ascend {
namespace {

constexpr size_t kBlock = 32, kStart = 64, kHugePage = size_t{2} << 20;

size_t up(size_t value, size_t step) { return (value + step - 1) / step * step; }

}  // namespace

size_t slot_bytes(size_t length) {
  INKSTONE_CHECK(length < SIZE_MAX / 2, "a tensor of ", length, " bytes");
  return up(up(length, kBlock) + kBlock, kStart);
}

std::optional<size_t> Chunk::take(size_t slot) {
  const auto hole = std::ranges::find_if(free_, [&](const auto& at) { return at.second >= slot; });
  if (hole == free_.end()) return std::nullopt;
  const auto [offset, bytes] = *hole;
  free_.erase(hole);
  if (bytes > slot) free_[offset + slot] = bytes - slot;
  taken_[offset] = slot;
  used_ += slot;
  return offset;
}

void Chunk::give(size_t offset) {
  const auto slot = taken_.find(offset);
  if (slot == taken_.end()) return;
  used_ -= slot->second;
  auto hole = free_.insert(taken_.extract(slot)).position;
  if (const auto next = std::next(hole); next != free_.end() && hole->first + hole->second == next->first) {
    hole->second += next->second;
    free_.erase(next);
  }
  if (hole == free_.begin()) return;
  if (const auto before = std::prev(hole); before->first + before->second == hole->first) {
    before->second += hole->second;
    free_.erase(hole);
  }
}

size_t Chunk::largest_free() const {
  size_t largest = 0;
  for (const auto& [offset, bytes] : free_) largest = std::max(largest, bytes);
  return largest;
}

Arena::Arena(Reserve reserve, Release release, size_t chunk_bytes)
    : reserve_(std::move(reserve)), release_(std::move(release)), chunk_bytes_(chunk_bytes) {}

Arena::~Arena() {
  for (const Reservation& reservation : reservations_) release_(reservation.begin);
}

std::byte* Arena::find(size_t slot) {
  const std::lock_guard lock(mutex_);
  for (Reservation& reservation : reservations_)
    if (const auto offset = reservation.chunk.take(slot)) return reservation.begin + *offset;
  return nullptr;
}

Memory Arena::take(size_t bytes) {
  const size_t slot = slot_bytes(bytes);
  std::byte* memory = find(slot);
  if (!memory) {
    const size_t size = up(std::max(slot, chunk_bytes_), kHugePage);
    std::byte* begin = reserve_(size);
    const std::lock_guard lock(mutex_);
    reservations_.push_back({begin, Chunk(size)});
    memory = begin + *reservations_.back().chunk.take(slot);
  }
  return Memory(memory, FreeMemory{this});
}

void Arena::free(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  const auto* at = static_cast<std::byte*>(memory);
  for (Reservation& reservation : reservations_)
    if (reservation.holds(at)) return reservation.chunk.give(static_cast<size_t>(at - reservation.begin));
}

bool Arena::owns(const std::byte* memory) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(reservations_, [&](const Reservation& r) { return r.holds(memory); });
}

bool Arena::shrink() {
  const std::lock_guard lock(mutex_);
  return std::erase_if(reservations_, [&](const Reservation& reservation) {
           if (reservation.chunk.empty()) release_(reservation.begin);
           return reservation.chunk.empty();
         }) > 0;
}

ArenaUse Arena::use() const {
  const std::lock_guard lock(mutex_);
  ArenaUse use;
  for (const auto& [begin, chunk] : reservations_) {
    use.reserved += chunk.size();
    use.used += chunk.used();
    use.largest_free = std::max(use.largest_free, chunk.largest_free());
  }
  use.free = use.reserved - use.used;
  use.reservations = reservations_.size();
  return use;
}

}  // namespace inkstone::ascend
