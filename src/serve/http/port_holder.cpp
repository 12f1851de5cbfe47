// /proc/net/tcp: "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode",
// addresses HEX:PORT, st 0A listens.
#include "serve/http/port_holder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace inkstone::http {
namespace {

namespace fs = std::filesystem;

std::string socket_of(uint16_t port, const char* table) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string slot, local, remote, state, skipped, inode;
    words >> slot >> local >> remote >> state;
    for (int i = 0; i < 5; ++i) words >> skipped;
    if (!(words >> inode) || state != "0A") continue;
    const size_t colon = local.rfind(':');
    if (colon != local.npos && std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port)
      return "socket:[" + inode + "]";
  }
  return "";
}

std::string holder(const std::string& socket) {
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string id = process.path().filename();
    if (!std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; })) continue;
    for (fs::directory_iterator entry(process.path() / "fd", error), end; !error && entry != end;
         entry.increment(error)) {
      std::error_code unreadable;
      if (fs::read_symlink(entry->path(), unreadable) != socket) continue;
      std::string name;
      std::ifstream(process.path() / "comm") >> name;
      return " (held by " + name + ", process " + id + ")";
    }
  }
  return "";
}

}  // namespace

std::string port_holder(uint16_t port) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"})
    if (const std::string socket = socket_of(port, table); !socket.empty()) return holder(socket);
  return "";
}

}  // namespace inkstone::http
