// The memory that all connections of a server hold together: bodies that come in, answers that are
// not read yet. So many clients, each within its own limits, cannot take all of the machine's. An
// answer that several clients read is in memory once, but counts for each of them.
#pragma once

#include <cstddef>

namespace inkstone::http {

class MemoryBudget {
 public:
  explicit MemoryBudget(size_t max) : max_(max) {}
  // `bytes` more of a body that has `whole` then. False where the bodies would have more than half;
  // answers may have what bodies leave, so neither can keep the other out. Of that half a quarter is
  // for small bodies alone: large ones cannot keep them out either.
  bool take_body(size_t bytes, size_t whole) {
    const size_t limit = whole <= kSmall ? max_ / 2 : max_ / 8 * 3;
    if (bodies_ > limit || bytes > limit - bodies_) return false;
    bodies_ += bytes;
    return true;
  }
  void give_body(size_t bytes) { bodies_ -= bytes; }
  void add_unsent(size_t bytes) { unsent_ += bytes; }
  void remove_unsent(size_t bytes) { unsent_ -= bytes; }
  bool exceeded() const { return bodies_ + unsent_ > max_; }

 private:
  static constexpr size_t kSmall = 16 << 10;
  const size_t max_;
  size_t bodies_ = 0, unsent_ = 0;
};

// The part of one body. It grows as the body's length becomes known.
class BodyShare {
 public:
  explicit BodyShare(MemoryBudget& budget) : budget_(budget) {}
  BodyShare(const BodyShare&) = delete;
  ~BodyShare() { release(); }
  // To so many; false: there is no room.
  bool grow(size_t bytes) {
    if (bytes > bytes_ && !budget_.take_body(bytes - bytes_, bytes)) return false;
    if (bytes > bytes_) bytes_ = bytes;
    return true;
  }
  size_t bytes() const { return bytes_; }
  void release() {
    budget_.give_body(bytes_);
    bytes_ = 0;
  }

 private:
  MemoryBudget& budget_;
  size_t bytes_ = 0;
};

}  // namespace inkstone::http
