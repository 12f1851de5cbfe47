// Packets as a hostile peer would send them: the first byte says to whom, and how many bytes of a
// sealed file come along.
#include <sys/socket.h>

#include <array>
#include <span>
#include <string>

#include "base/error.h"
#include "serve/wire/packet.h"
#include "serve/wire/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace inkstone;
  using namespace inkstone::serve;
  if (size < 2) return 0;
  static const std::array<int, 2> sockets = [] {
    std::array<int, 2> both{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, both.data()) != 0) __builtin_trap();
    return both;
  }();
  const std::array<uint8_t, 128> pixels{};
  const std::array<std::span<const uint8_t>, 1> parts{std::span(pixels).first(data[0] >> 1)};
  send_packet(sockets[0], std::string(data + 1, data + size), data[0] > 1 ? sealed_file(parts).get() : -1);
  // What was understood is understood again.
  try {
    if (data[0] & 1) {
      const WorkerCommand command = receive_command(sockets[1]).value();
      send_command(sockets[0], command);
    } else {
      const WorkerReport report = receive_report(sockets[1]).value();
      send_report(sockets[0], report);
    }
  } catch (const Error&) {
    return 0;
  }
  if (data[0] & 1 ? !receive_command(sockets[1]) : !receive_report(sockets[1])) __builtin_trap();
  return 0;
}
