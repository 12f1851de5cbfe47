// The HTTP server's settings. Times are in seconds, sizes in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace inkstone::http {

struct Settings {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: the system chooses
  // Names that a Host header may have besides loopback's and `host`. If empty and `host` is not
  // loopback: any address as a literal, and with keys any name. A page can let a name of its own
  // point to this server, but not an address.
  std::vector<std::string> host_names;
  // Proxies whose X-Forwarded-... and Forwarded headers count: addresses, networks, "loopback", "private".
  std::vector<std::string> trusted_proxies;
  // The path below which clients see the server: "/inkstone". Empty: none.
  std::string root_path;
  // Sites whose pages may send requests, besides the server's own. "*", only with keys: any.
  std::vector<std::string> origins;
  size_t max_header = 16 << 10, max_headers = 64, max_body = 1 << 20, max_image_body = 32 << 20, max_unsent = 32 << 20;
  // Of all connections together: bodies, of these at most half, and answers that are not read yet.
  size_t max_memory = 256 << 20;
  // Bytes a second that a client must read of a complete answer, averaged over write_seconds.
  size_t min_rate = 16 << 10;
  int max_connections = 2048, max_per_address = 1024;
  // Of max_connections: kept for probes, when all others have work.
  int kept_for_probes = 16;
  double header_seconds = 10, body_seconds = 30, write_seconds = 30, idle_seconds = 60, ping_seconds = 10;
  // A file with lines NAME:KEY. Empty: no keys, anyone may use the server.
  std::string key_file;
};

}  // namespace inkstone::http
