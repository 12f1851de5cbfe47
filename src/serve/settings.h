// What the operator of a server can set. Times in seconds, sizes in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "serve/batcher.h"

namespace inkstone {

struct HttpSettings {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: the system chooses
  std::vector<std::string>
      host_names;  // that a Host header may say besides loopback's and `host`; empty and host not loopback: any
  std::vector<std::string> origins;  // that a browser's page may come from besides the server's own
  size_t most_header = 16 << 10, most_headers = 64, most_body = 1 << 20, most_unsent = 32 << 20;
  int most_connections = 2048, most_per_client = 1024;  // connections of one address
  double header_seconds = 10, body_seconds = 30, write_seconds = 30, idle_seconds = 60, ping_seconds = 10;
  std::string key_file;  // lines NAME:KEY; empty: no keys, everyone may
};

struct ServeSettings {
  HttpSettings http;
  std::vector<std::string> devices{"cpu"};
  int workers = 1;           // for each device
  int most_batch = 8;        // jobs in one step
  int most_queue = 256;      // pictures let in and not ended
  int most_per_client = 64;  // pictures of one client, let in and not ended
  int most_pictures = 16;    // of one order
  int most_steps = 200;
  int most_side = 2048;
  int64_t most_pixels = 1024 * 1024;  // of one picture
  double most_wait = 600;             // predicted, else refused
  double grace = 60;                  // for what runs, when told to stop
  double kept_seconds = 600;          // an ended order
  int64_t most_kept_bytes = int64_t{256} << 20;
  double watchdog_factor = 8;  // of the predicted time: a worker that takes longer is killed
  double watchdog_least = 20;
  double canary_seconds = 10;  // without a picture's end, until a tiny one of our own is drawn
  Batching batching = Batching::kStep;
  bool log_json = false, log_prompts = false;
};

}  // namespace inkstone
