// A packet on a socket of type SOCK_SEQPACKET: a text, and at most one sealed memfd of bytes beside
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/given_file.h"

namespace inkstone::serve {

// Of text; the system's net.core.wmem_max may allow less.
inline constexpr size_t kMaxPacket = size_t{1} << 20;

// A file descriptor, closed at its end.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release();

 private:
  int number_ = -1;
};

// Bytes that nobody can change or cut off any more.
Descriptor sealed_file(std::span<const std::span<const uint8_t>> parts);

// Those bytes in this process's memory, for as long as the result is held; the file may be closed before.
std::shared_ptr<const std::byte> mapped(const Descriptor& sealed, size_t bytes);

bool holds(int sealed_file, size_t bytes);  // exactly so many

// What came of one: checked, and read piece by piece.
class SealedBytes {
 public:
  SealedBytes() = default;
  // Throws Error where it is no memfd, or not sealed against any change.
  explicit SealedBytes(Descriptor file);
  size_t left() const { return size_ - at_; }
  // The next bytes; throws Error where there are not so many.
  void read(std::span<uint8_t> to);
  // The same where they lie: all that come of one message share it.
  GivenFile take(size_t bytes);

 private:
  Descriptor file_;
  size_t size_ = 0, at_ = 0;
  std::shared_ptr<const std::byte> mapped_{};
};

struct Packet {
  std::string text;
  SealedBytes bytes;
};

// Throws Error where the text is too long or the other side is gone (or, on a non-blocking socket,
// does not read).
void send_packet(int socket, const std::string& text, int file = -1);
// Nothing where the other side has closed or, on a non-blocking socket, where nothing has come.
// Throws Error for a packet that is too long or has other descriptors with it than one sealed
// memfd; none of them stays open.
std::optional<Packet> receive_packet(int socket, bool& closed);

}  // namespace inkstone::serve
