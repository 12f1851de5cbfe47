// Bytes to send to a client that may be slow. Small pieces are joined, large ones are kept as they
// are. Bytes that were sent are freed.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <string>
#include <vector>

namespace inkstone::http {

class Outbox {
 public:
  void push(std::string bytes);
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  std::array<boost::asio::const_buffer, 8> front() const;  // what to send next
  void consume(size_t bytes);
  void clear();

 private:
  std::vector<std::string> pieces_;
  size_t first_ = 0, offset_ = 0;  // of the next byte to send
  size_t size_ = 0;
};

}  // namespace inkstone::http
