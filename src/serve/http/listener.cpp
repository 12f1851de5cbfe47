#include "serve/http/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "base/error.h"
#include "serve/http/entry.h"
#include "serve/http/eviction.h"
#include "serve/http/port_holder.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

using serve::log_line;
using serve::LogLevel;

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using namespace std::chrono_literals;

constexpr auto kPause = 50ms;
constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nServer: inkstone\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: "
    "0\r\n\r\n";

int spare_descriptor() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool out_of_descriptors(const ErrorCode& error) {
  return error == asio::error::no_descriptors || error == boost::system::errc::too_many_files_open_in_system;
}

}  // namespace

Listener::Listener(std::shared_ptr<ServerState> state, Tcp::acceptor acceptor)
    : state_(std::move(state)), acceptor_(std::move(acceptor)), pause_(state_->events), spare_(spare_descriptor()) {}

Listener::~Listener() {
  if (spare_ >= 0) ::close(spare_);
}

void Listener::stop() {
  ErrorCode error;
  acceptor_.close(error);
  pause_.cancel();
}

void* Listener::WaitMemory::do_allocate(size_t bytes, size_t alignment) {
  INKSTONE_CHECK(bytes <= sizeof bytes_ && alignment <= alignof(std::max_align_t), "a wait of ", bytes, " bytes");
  return bytes_;
}

// The wait is for the listening socket alone: a connection is accepted where its exceptions are caught.
void Listener::listen() {
  if (!acceptor_.is_open()) return;
  const auto ready = [self = shared_from_this()](const ErrorCode& /*error*/) {
    if (!self->acceptor_.is_open()) return;
    bool again = true;
    enter_connection([&] { again = self->accept(); }, [] {});
    if (again) self->listen();
  };
  acceptor_.async_wait(Tcp::acceptor::wait_read,
                       asio::bind_allocator(std::pmr::polymorphic_allocator<>(&wait_memory_), ready));
}

bool Listener::accept() {
  ErrorCode error;
  Tcp::socket socket = acceptor_.accept(error);
  if (!error) enter(std::move(socket));
  if (!error || error == asio::error::would_block || error == asio::error::connection_aborted ||
      error == asio::error::interrupted)
    return true;
  if (out_of_descriptors(error) && evict_one(*state_)) return true;
  turn_one_away();
  log_line(LogLevel::kWarning, "accept", {{"problem", error.message()}});
  pause_.expires_after(kPause);
  pause_.async_wait([self = shared_from_this()](const ErrorCode& cancelled) {
    if (!cancelled) self->listen();
  });
  return false;
}

void Listener::enter(Tcp::socket socket) {
  ErrorCode error;
  const auto peer = socket.remote_endpoint(error);
  if (error) return;
  ++state_->figures.accepted;
  Peer whose{key_of(peer.address()), state_->proxies.contains(peer.address())};
  socket.non_blocking(true, error);
  const Place place = place_for(whose);
  if (place == Place::kNone) {
    ++state_->figures.turned_away;
    socket.write_some(asio::buffer(kBusy), error);
    return;
  }
  socket.set_option(Tcp::no_delay(true), error);
  socket.set_option(asio::socket_base::keep_alive(true), error);
  whose.for_probe = place == Place::kForProbe;
  const auto connection = std::make_shared<Connection>(state_, std::move(socket), std::move(whose));
  enter_connection([&] { connection->start(); }, [&] { connection->close(); });
}

// A trusted proxy's connections are everybody's.
Listener::Place Listener::place_for(const Peer& peer) {
  const auto same = state_->of_address.find(peer.address);
  const bool many = same != state_->of_address.end() && same->second >= state_->settings.max_per_address;
  if (many && !peer.trusted_proxy) return Place::kNone;
  if (state_->places_left() <= state_->kept_places()) evict_one(*state_);
  if (state_->places_left() > state_->kept_places()) return Place::kAny;
  return state_->places_left() > 0 ? Place::kForProbe : Place::kNone;
}

// Without this, clients in the queue could wait long for a free descriptor.
void Listener::turn_one_away() {
  if (spare_ >= 0) {
    ::close(spare_);
    const int descriptor = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor >= 0) {
      ++state_->figures.turned_away;
      ::close(descriptor);
    }
  }
  spare_ = spare_descriptor();
}

Listener::Tcp::acceptor listen_at(asio::io_context& events, const Settings& settings) {
  using Tcp = Listener::Tcp;
  ErrorCode error;
  Tcp::resolver resolver(events);
  const auto found = resolver.resolve(settings.host, std::to_string(settings.port), Tcp::resolver::passive, error);
  INKSTONE_CHECK_USAGE(!error && !found.empty(), "cannot listen at ", settings.host, ": ", error.message());
  const Tcp::endpoint endpoint = found.begin()->endpoint();
  Tcp::acceptor acceptor(events);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6() && endpoint.address().is_unspecified())
    acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor.non_blocking(true, error);
  INKSTONE_CHECK(!error, "cannot listen at ", settings.host, " port ", settings.port, ": ", error.message(),
                 error == asio::error::address_in_use ? port_holder(settings.port) : "", "; --port takes another");
  return acceptor;
}

}  // namespace inkstone::http
