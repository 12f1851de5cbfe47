// The device's memory for tensors and ports: a few large reservations, which are divided here, so
// that the device is not asked for memory while images are drawn. It is arithmetic only: its maker
// passes the functions that reserve and release memory.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/tensor.h"

namespace inkstone::ascend {

// The bytes that a tensor takes. AscendCL reads in blocks of 32 bytes and up to one block past the
// end; every slot starts at a multiple of 64.
size_t slot_bytes(size_t length);

// One reservation. A tensor takes the first free piece that is large enough; neighbouring free
// pieces are joined.
class Chunk {
 public:
  explicit Chunk(size_t size) : size_(size) { free_[0] = size; }
  std::optional<size_t> take(size_t slot);  // an offset
  void give(size_t offset);
  size_t size() const { return size_; }
  size_t used() const { return used_; }
  size_t largest_free() const;
  bool empty() const { return taken_.empty(); }

 private:
  size_t size_, used_ = 0;
  std::map<size_t, size_t> free_, taken_;  // offset, bytes
};

struct ArenaUse {       // bytes
  size_t reserved = 0;  // on the device
  size_t used = 0;      // by tensors
  size_t free = 0;      // reserved, and not used
  // The largest free piece; divided by `free` it tells how fragmented memory is.
  size_t largest_free = 0;
  size_t reservations = 0;  // how many there are
};

class Arena final : public MemoryOwner {
 public:
  using Reserve = std::function<std::byte*(size_t)>;  // throws where the device refuses
  using Release = std::function<void(std::byte*)>;
  Arena(Reserve reserve, Release release, size_t chunk_bytes);
  ~Arena() override;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  Memory take(size_t bytes);
  // From any thread; does not call the device.
  void free(void* memory) noexcept override;
  bool owns(const std::byte* memory) const;
  // Gives back empty reservations. Returns whether there were any.
  bool shrink();
  ArenaUse use() const;

 private:
  struct Reservation {
    std::byte* begin;
    Chunk chunk;
    bool holds(const std::byte* at) const { return at >= begin && at < begin + chunk.size(); }
  };
  std::byte* find(size_t slot);

  Reserve reserve_;
  Release release_;
  size_t chunk_bytes_;
  mutable std::mutex mutex_;
  std::vector<Reservation> reservations_;
};

}  // namespace inkstone::ascend
