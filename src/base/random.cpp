#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace inkstone {

void random_bytes(std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t got = getrandom(to.data(), to.size(), 0);
    INKSTONE_CHECK(got > 0 || errno == EINTR, "the system has no random numbers: ", std::strerror(errno));
    if (got > 0) to = to.subspan(static_cast<size_t>(got));
  }
}

uint32_t random_seed() {
  uint32_t seed = 0;
  random_bytes(std::as_writable_bytes(std::span(&seed, 1)));
  return seed;
}

std::string random_id(size_t bytes) {
  std::vector<std::byte> bits(bytes);
  random_bytes(bits);
  std::string id;
  for (const std::byte bit : bits) {
    id += "0123456789abcdef"[std::to_integer<int>(bit >> 4)];
    id += "0123456789abcdef"[std::to_integer<int>(bit & std::byte{15})];
  }
  return id;
}

}  // namespace inkstone
