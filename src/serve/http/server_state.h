// What all connections of a server share. Only the event thread touches it.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "serve/http/forwarded.h"
#include "serve/http/http.h"
#include "serve/http/keys.h"
#include "serve/http/memory_budget.h"
#include "serve/http/request_policy.h"
#include "serve/http/server.h"

namespace inkstone::http {

class Connection;

// Who is at the other end of a connection.
struct Peer {
  std::string address;         // key_of() it
  bool trusted_proxy = false;  // its X-Forwarded-... headers count
  // It took one of the places that are kept for probes (request_policy.h).
  bool for_probe = false;
};

struct ServerState {
  ServerState(boost::asio::io_context& event_loop, Settings wanted, Router routes, bool loopback)
      : events(event_loop),
        settings(std::move(wanted)),
        router(std::move(routes)),
        policy(settings, loopback),
        proxies(settings.trusted_proxies),
        memory(settings.max_memory) {
    if (!settings.key_file.empty()) keys = Keys::read(settings.key_file);
  }

  int places_left() const { return settings.max_connections - figures.connections; }
  // ... of these, kept for probes; few where there are few in all.
  int kept_places() const { return std::min(settings.kept_for_probes, settings.max_connections / 8); }

  boost::asio::io_context& events;
  const Settings settings;
  const Router router;
  const RequestPolicy policy;
  const TrustedProxies proxies;
  MemoryBudget memory;
  Keys keys;
  WrongKeys wrong_keys;
  Figures figures;  // without `answers`
  std::map<int, int64_t> answers;
  std::unordered_set<Connection*> connections;
  // Number of connections. Pointers to it stay valid while an address has some.
  std::unordered_map<std::string, int> of_address;
  // The buffer into which bytes are read; its size is the most that is read ahead.
  std::array<char, 16 << 10> scratch;
  // closing: a connection closes as soon as it is idle.
  bool draining = false, closing = false;
  // The operator was told that a proxy on this machine is not listed.
  bool told_of_proxy = false;
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
