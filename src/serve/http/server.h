// The HTTP server, on one event thread. Boost.Beast is behind it. Limits are checked first, so that
// no client can block it.
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
  // Listens at once. If it can't, throws Error with the port and the process that holds it.
  Server(boost::asio::io_context& events, Settings settings, Router router);
  // As close(), but handlers are not told that their clients are gone.
  ~Server();
  uint16_t port() const;
  Figures figures() const;
  // Reads Settings::key_file again. Throws Error if it is malformed; the old keys then stay valid.
  void reload_keys();
  // From now on each answer says "Connection: close". Requests are still answered; new connections
  // are accepted until stop_accepting().
  void drain();
  void stop_accepting();
  bool idle() const;  // no exchange is under way
  void close();       // all connections, at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inkstone::http
