// What all connections of a server share. Only the event thread touches it.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "serve/http/http.h"
#include "serve/http/keys.h"
#include "serve/http/request_policy.h"
#include "serve/http/server.h"

namespace inkstone::http {

class Connection;

struct ServerState {
  ServerState(boost::asio::io_context& event_loop, Settings wanted, Router routes, bool loopback)
      : events(event_loop), settings(std::move(wanted)), router(std::move(routes)), policy(settings, loopback) {
    if (!settings.key_file.empty()) keys = Keys::read(settings.key_file);
  }

  boost::asio::io_context& events;
  const Settings settings;
  const Router router;
  const RequestPolicy policy;
  Keys keys;
  WrongKeys wrong_keys;
  Figures figures;  // without `answers`
  std::map<int, int64_t> answers;
  std::unordered_set<Connection*> connections;
  std::unordered_map<std::string, int> of_address;  // number of connections
  // The buffer into which bytes are read; its size is the most that is read ahead.
  std::array<char, 16 << 10> scratch;
  // closing: a connection closes as soon as it is idle.
  bool draining = false, closing = false;
  // Handlers are no longer told that their client is gone.
  bool silent = false;
};

// Counts something of a connection in one of the figures, once at a time.
class CountedOnce {
 public:
  explicit CountedOnce(int& figure) : figure_(figure) {}
  void begin() { figure_ += !std::exchange(counted_, true); }
  void end() { figure_ -= std::exchange(counted_, false); }

 private:
  int& figure_;
  bool counted_ = false;
};

}  // namespace inkstone::http
