#include "serve/wire/packet.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"

namespace inkstone::serve {
namespace {

// What is beyond may need a larger buffer in the system.
constexpr size_t kLargePacket = size_t{64} << 10;
// Looked for with a packet; the system closes what is beyond.
constexpr size_t kMaxDescriptors = 16;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

std::string reason() { return std::strerror(errno); }

template <typename Call>
auto retried(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::vector<Descriptor> take_descriptors(msghdr& header) {
  std::vector<Descriptor> files;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
      files.emplace_back(number);
    }
  }
  return files;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

int Descriptor::release() { return std::exchange(number_, -1); }

Descriptor sealed_file(std::span<const std::span<const uint8_t>> parts) {
  Descriptor file(memfd_create("inkstone-pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  INKSTONE_CHECK(file, "no memory file for pixels: ", reason());
  for (std::span<const uint8_t> part : parts)
    while (!part.empty()) {
      const ssize_t written = retried([&] { return write(file.get(), part.data(), part.size()); });
      INKSTONE_CHECK(written > 0, "no memory for ", part.size(), " bytes of pixels: ", reason());
      part = part.subspan(static_cast<size_t>(written));
    }
  INKSTONE_CHECK(fcntl(file.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) == 0, "pixels cannot be sealed: ", reason());
  return file;
}

std::shared_ptr<const std::byte> mapped(const Descriptor& sealed, size_t bytes) {
  if (bytes == 0) return {};
  void* at = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, sealed.get(), 0);
  INKSTONE_CHECK(at != MAP_FAILED, "no memory for ", bytes, " bytes of pictures: ", reason());
  return {static_cast<const std::byte*>(at), [at, bytes](const std::byte*) { munmap(at, bytes); }};
}

bool holds(int sealed_file, size_t bytes) {
  struct stat status {};
  return fstat(sealed_file, &status) == 0 && std::cmp_equal(status.st_size, bytes);
}

SealedBytes::SealedBytes(Descriptor file) : file_(std::move(file)) {
  const int seals = fcntl(file_.get(), F_GET_SEALS);
  INKSTONE_CHECK(seals >= 0, "a message came with a file that is no memfd");
  INKSTONE_CHECK((seals & kSeals) == kSeals, "a message came with a memfd that is not sealed");
  struct stat status {};
  INKSTONE_CHECK(fstat(file_.get(), &status) == 0 && status.st_size >= 0, "a message's memfd: ", reason());
  size_ = static_cast<size_t>(status.st_size);
}

void SealedBytes::read(std::span<uint8_t> to) {
  INKSTONE_CHECK(to.size() <= left(), "a message's memfd has ", left(), " bytes left, not ", to.size());
  while (!to.empty()) {
    const ssize_t got = retried([&] { return pread(file_.get(), to.data(), to.size(), static_cast<off_t>(at_)); });
    INKSTONE_CHECK(got > 0, "a message's memfd cannot be read: ", got < 0 ? reason() : "it ended");
    at_ += static_cast<size_t>(got);
    to = to.subspan(static_cast<size_t>(got));
  }
}

GivenFile SealedBytes::take(size_t bytes) {
  INKSTONE_CHECK(bytes <= left(), "a message's memfd has ", left(), " bytes left, not ", bytes);
  if (!mapped_) mapped_ = mapped(file_, size_);
  GivenFile file{{mapped_.get() + at_, bytes}, mapped_, ""};
  at_ += bytes;
  return file;
}

void send_packet(int socket, const std::string& text, int file) {
  INKSTONE_CHECK(!text.empty() && text.size() <= kMaxPacket, "a message of ", text.size(), " bytes: at most ",
                 kMaxPacket, " can be sent");
  // Best effort: the system says below what it does not take.
  if (text.size() > kLargePacket) {
    const int wanted = 2 * static_cast<int>(kMaxPacket);
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  }
  iovec piece{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  if (file >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &file, sizeof file);
  }
  const ssize_t sent = retried([&] { return sendmsg(socket, &header, MSG_NOSIGNAL); });
  if (sent == static_cast<ssize_t>(text.size())) return;
  INKSTONE_CHECK(errno != EMSGSIZE, "a message of ", text.size(),
                 " bytes is more than the system takes at once: raise net.core.wmem_max");
  INKSTONE_CHECK(errno != EAGAIN && errno != EWOULDBLOCK, "the other side does not read its messages");
  fail(INKSTONE_HERE, {"the other side is gone: ", reason()});
}

std::optional<Packet> receive_packet(int socket, bool& closed) {
  closed = false;
  const auto text = std::make_unique_for_overwrite<char[]>(kMaxPacket);
  iovec piece{text.get(), kMaxPacket};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control;
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t got = retried([&] { return recvmsg(socket, &header, MSG_CMSG_CLOEXEC); });
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
  closed = got == 0 || (got < 0 && (errno == ECONNRESET || errno == EPIPE));
  INKSTONE_CHECK(got >= 0 || closed, "a message cannot be received: ", reason());
  std::vector<Descriptor> files = got < 0 ? std::vector<Descriptor>() : take_descriptors(header);
  if (closed) return {};
  INKSTONE_CHECK(!(header.msg_flags & MSG_TRUNC), "a message of more than ", kMaxPacket, " bytes came");
  INKSTONE_CHECK(!(header.msg_flags & MSG_CTRUNC) && files.size() <= 1,
                 "a message came with more files than one, or none could be opened for it");
  Packet packet{std::string(text.get(), static_cast<size_t>(got)), {}};
  if (!files.empty()) packet.bytes = SealedBytes(std::move(files[0]));
  return packet;
}

}  // namespace inkstone::serve
