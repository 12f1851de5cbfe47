// Accepts new connections. If all places or descriptors are taken, one without an admitted request
// gives way (eviction.h); if there is none, the new one is turned away at once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <memory_resource>

#include "serve/http/connection.h"

namespace inkstone::http {

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  using Tcp = boost::asio::ip::tcp;

  Listener(std::shared_ptr<ServerState> state, Tcp::acceptor acceptor);
  ~Listener();
  void start() { listen(); }
  void stop();

 private:
  void listen();
  // Takes one that waits. False: it may only listen again after a pause, which has begun.
  bool accept();
  void enter(Tcp::socket socket);
  enum class Place { kNone, kForProbe, kAny };
  Place place_for(const Peer& peer);
  void turn_one_away();

  // Holds the one wait for a connection, so that listening never fails for lack of memory.
  class WaitMemory final : public std::pmr::memory_resource {
    void* do_allocate(size_t bytes, size_t alignment) override;
    void do_deallocate(void* /*memory*/, size_t /*bytes*/, size_t /*alignment*/) override {}
    bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
    alignas(std::max_align_t) std::byte bytes_[512];
  };

  const std::shared_ptr<ServerState> state_;
  WaitMemory wait_memory_;
  Tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  // A spare descriptor, closed when no other is left.
  int spare_;
};

// Returns a socket that is bound and listening. Throws Error with the port and the process that
// holds it.
Listener::Tcp::acceptor listen_at(boost::asio::io_context& events, const Settings& settings);

}  // namespace inkstone::http
