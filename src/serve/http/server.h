// The door to HTTP: Boost.Beast behind it. One event thread; limits come first, and nobody can hold it up.
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
  ~Server();  // as close(), but nobody is told that its client is gone
  uint16_t port() const;
  Figures figures() const;
  void reload_keys();  // of Settings::key_file; what is malformed leaves the old ones in force: Error
  // Answers what is under way, says "Connection: close" with each answer, and takes no new connections any more after stop_accepting().
  void drain();
  void stop_accepting();
  bool idle() const;  // no exchange is under way
  void close();       // all connections, at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inkstone::http
