// Bytes to send to a client that may be slow. Small pieces are joined, large ones kept as they are,
// and nothing is held once sent.
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
  std::array<boost::asio::const_buffer, 8> front() const;  // what goes next
  void consume(size_t bytes);
  void clear();

 private:
  std::vector<std::string> pieces_;
  size_t first_ = 0, offset_ = 0;  // of the byte that goes next
  size_t size_ = 0;
};

}  // namespace inkstone::http
