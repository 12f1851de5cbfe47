// Accepts new connections. If all places or descriptors are taken, one without an admitted request
// gives way (eviction.h); if there is none, the new one is turned away at once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "serve/http/connection.h"

namespace inkstone::http {

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  using Tcp = boost::asio::ip::tcp;

  Listener(std::shared_ptr<ServerState> state, Tcp::acceptor acceptor);
  ~Listener();
  void start() { accept(); }
  void stop();

 private:
  void accept();
  void accepted(boost::system::error_code error, Tcp::socket socket);
  void enter(Tcp::socket socket);
  enum class Place { kNone, kForHealth, kAny };
  Place place_for(const std::string& address);
  void turn_one_away();

  const std::shared_ptr<ServerState> state_;
  Tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  // A spare descriptor, closed when no other is left.
  int spare_;
};

// Returns a socket that is bound and listening. Throws Error with the port and the process that
// holds it.
Listener::Tcp::acceptor listen_at(boost::asio::io_context& events, const Settings& settings);

}  // namespace inkstone::http
