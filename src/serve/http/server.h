// The HTTP server, on one event thread. Boost.Beast is behind it. Limits are checked first, and no
// client can hold it up.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "serve/http/http.h"
#include "serve/http/settings.h"

namespace inkstone::http {

struct Figures {
  int connections = 0, exchanges = 0;  // now
  int64_t accepted = 0, turned_away = 0, timed_out = 0, malformed = 0, requests = 0;
  std::vector<std::pair<int, int64_t>> answers;  // by status
};

class Server {
 public:
  // Listens at once. Throws Error where it cannot, with the port and what holds it.
  Server(boost::asio::io_context& events, Settings settings, Router router);
  // As close(), but nobody is told that its client is gone.
  ~Server();
  uint16_t port() const;
  Figures figures() const;
  // Of Settings::key_file; what is malformed leaves the old ones in force: Error.
  void reload_keys();
  // Answers what is under way, says "Connection: close" with each answer, and takes no new
  // connections any more after stop_accepting().
  void drain();
  void stop_accepting();
  bool idle() const;  // no exchange is under way
  void close();       // all connections, at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inkstone::http
