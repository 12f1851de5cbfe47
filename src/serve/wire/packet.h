// A packet on a socket of type SOCK_SEQPACKET: a text, and at most one sealed memfd of bytes beside
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

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

// What came of one: checked, and read piece by piece without being mapped.
class SealedBytes {
 public:
  SealedBytes() = default;
  // Throws Error where it is no memfd, or not sealed against any change.
  explicit SealedBytes(Descriptor file);
  size_t left() const { return size_ - at_; }
  // The next bytes; throws Error where there are not so many.
  void read(std::span<uint8_t> to);

 private:
  Descriptor file_;
  size_t size_ = 0, at_ = 0;
};

struct Packet {
  std::string text;
  SealedBytes bytes;
};

// Throws Error where the text is too long or the other side is gone (or, on a non-blocking socket,
// does not read).
void send_packet(int socket, const std::string& text, const Descriptor& file = {});
// Nothing where the other side has closed or, on a non-blocking socket, where nothing has come.
// Throws Error for a packet that is too long or has other descriptors with it than one sealed
// memfd; none of them stays open.
std::optional<Packet> receive_packet(int socket, bool& closed);

}  // namespace inkstone::serve
