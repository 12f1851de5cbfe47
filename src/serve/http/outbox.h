// Bytes to send to a client that may be slow. Small pieces are joined, large ones are kept as they
// are, and those that others hold too are not copied. Bytes that were sent are freed. All count in
// the server's budget.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "serve/http/memory_budget.h"

namespace inkstone::http {

class Outbox {
 public:
  explicit Outbox(MemoryBudget& budget) : budget_(budget) {}
  Outbox(const Outbox&) = delete;
  ~Outbox() { clear(); }
  void push(std::string bytes);
  void push(std::shared_ptr<const std::string> bytes);
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  std::array<boost::asio::const_buffer, 8> front() const;  // what to send next
  void consume(size_t bytes);
  void clear();

 private:
  struct Piece {
    std::string own;
    std::shared_ptr<const std::string> shared;  // used if it is there
    const std::string& text() const { return shared ? *shared : own; }
  };
  void grow(size_t bytes);

  MemoryBudget& budget_;
  std::vector<Piece> pieces_;
  size_t first_ = 0, offset_ = 0;  // of the next byte to send
  size_t size_ = 0;
};

}  // namespace inkstone::http
