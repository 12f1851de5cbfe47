// What the operator can set of the HTTP server. Times are seconds, sizes bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace inkstone::http {

struct Settings {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: the system chooses
  // That a Host header may say besides loopback's and `host`; empty and host not loopback: any.
  std::vector<std::string> host_names;
  // That a browser's page may come from besides the server's own.
  std::vector<std::string> origins;
  size_t max_header = 16 << 10, max_headers = 64, max_body = 1 << 20, max_unsent = 32 << 20;
  int max_connections = 2048, max_per_client = 1024;  // connections of one address
  double header_seconds = 10, body_seconds = 30, write_seconds = 30, idle_seconds = 60, ping_seconds = 10;
  // Lines NAME:KEY; empty: no keys, everyone may.
  std::string key_file;
};

}  // namespace inkstone::http
