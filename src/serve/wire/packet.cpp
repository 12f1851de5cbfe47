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

void send_packet(int socket, const std::string& text, const Descriptor& file) {
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
  if (file) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = file.get();
    std::memcpy(CMSG_DATA(part), &number, sizeof number);
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
