#include "serve/http/connection.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <boost/asio/post.hpp>

#include "serve/http/connection_exchange.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

namespace asio = boost::asio;
using SocketError = boost::system::error_code;
using namespace std::chrono_literals;

// Bytes that are thrown away for a client that reads its answer late.
constexpr size_t kMaxLingered = 1 << 20;
constexpr auto kCheckEvery = 250ms;

}  // namespace

Connection::Connection(std::shared_ptr<ServerState> state, Socket socket, std::string address)
    : state_(std::move(state)), socket_(std::move(socket)), timer_(state_->events), address_(std::move(address)) {
  state_->connections.insert(this);
  ++state_->of_address[address_];
  ++state_->figures.connections;
}

void Connection::start() {
  SocketError error;
  socket_->non_blocking(true, error);
  if (error) return close();
  rest();
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  if (ConnectionExchange* exchange = std::exchange(exchange_, nullptr)) exchange->lose();
  socket_.reset();
  timer_.reset();
  reader_.reset();
  outbox_.clear();
  ahead_ = std::string();
  state_->connections.erase(this);
  if (const auto count = state_->of_address.find(address_); --count->second == 0) state_->of_address.erase(count);
  --state_->figures.connections;
  state_->figures.exchanges -= std::exchange(counted_, false);
}

void Connection::rest() {
  phase_ = Phase::kResting;
  phase_due_ = Clock::now() + after(state_->settings.idle_seconds);
  record_ = Record();
  if (input_over_ && ahead_.empty()) return close();
  if (state_->closing) return linger();
  if (!ahead_.empty()) feed(std::exchange(ahead_, std::string()));
  if (input_over_ && reading()) return close();
  arm();
  listen();
}

// The answer is out and the connection ends. Closing with bytes unread would reset it and could
// take the answer with it.
void Connection::linger() {
  phase_ = Phase::kLingering;
  reader_.reset();
  ahead_ = std::string();
  phase_due_ = Clock::now() + after(std::min(2.0, state_->settings.header_seconds));
  SocketError error;
  socket_->shutdown(Socket::shutdown_send, error);
  if (input_over_ || error) return close();
  arm();
  listen();
}

size_t Connection::room() const {
  const bool kept = !reading() && phase_ != Phase::kLingering;
  return kept ? state_->scratch.size() - std::min(state_->scratch.size(), ahead_.size()) : state_->scratch.size();
}

// No buffer is kept for what may come: the wait is for the socket, the reading happens at once.
void Connection::listen() {
  if (awaits_input_ || input_over_ || phase_ == Phase::kClosed) return;
  if (room() == 0) {
    check_due_ = Clock::now() + kCheckEvery;
    return arm();
  }
  awaits_input_ = true;
  socket_->async_wait(Socket::wait_read, [self = shared_from_this()](const SocketError&) {
    self->awaits_input_ = false;
    if (self->socket_) self->readable();
  });
}

void Connection::readable() {
  SocketError error;
  const size_t size = socket_->read_some(asio::buffer(state_->scratch.data(), room()), error);
  if (error && error != asio::error::would_block) return input_ended(error == asio::error::eof);
  if (!error) take({state_->scratch.data(), size});
  listen();
}

void Connection::take(std::string_view bytes) {
  if (reading()) {
    feed(bytes);
    arm();
  } else if (phase_ == Phase::kLingering) {
    lingered_ += bytes.size();
    if (lingered_ > kMaxLingered) close();
  } else {
    ahead_ += bytes;
  }
}

// A client that sends no more counts as gone, unless its answer is already on the way.
void Connection::input_ended(bool orderly) {
  if (orderly && phase_ == Phase::kSending)
    input_over_ = true;
  else
    lost();
}

void Connection::lost() {
  if (phase_ == Phase::kClosed) return;
  if (record_.begun && phase_ != Phase::kLingering) log(true);
  close();
}

void Connection::send(std::string bytes) {
  outbox_.push(std::move(bytes));
  flush();
}

void Connection::flush() {
  if (awaits_output_ || phase_ == Phase::kClosed) return;
  while (!outbox_.empty()) {
    SocketError error;
    const size_t size = socket_->write_some(outbox_.front(), error);
    if (error == asio::error::would_block) {
      awaits_output_ = true;
      taken_mark_ = written_ - in_kernel();
      write_due_ = Clock::now() + after(state_->settings.write_seconds);
      socket_->async_wait(Socket::wait_write, [self = shared_from_this()](const SocketError&) {
        self->awaits_output_ = false;
        if (self->socket_) self->flush();
      });
      return arm();
    }
    if (error) return lost();
    outbox_.consume(size);
    written_ += size;
    record_.bytes += size;
  }
  // Not at once: many requests may wait in ahead_.
  if (phase_ == Phase::kSending) asio::post(state_->events, [self = shared_from_this()] { self->answered(); });
}

size_t Connection::in_kernel() const {
  int bytes = 0;
  if (!socket_ || ioctl(const_cast<Socket&>(*socket_).native_handle(), SIOCOUTQ, &bytes) != 0) return 0;
  return static_cast<size_t>(std::max(bytes, 0));
}

size_t Connection::unsent() const { return outbox_.size() + in_kernel(); }

// One timer for the earliest of what the phase waits for. It is only set anew to be earlier; when
// it comes too early, it is set again.
void Connection::arm() {
  if (phase_ == Phase::kClosed) return;
  const bool own = reading() || phase_ == Phase::kLingering || phase_ == Phase::kAuthDelay;
  Clock::time_point next = own ? phase_due_ : Clock::time_point::max();
  if (awaits_output_) next = std::min(next, write_due_);
  if (record_.events && phase_ == Phase::kWorking) next = std::min(next, ping_due_);
  if (room() == 0) next = std::min(next, check_due_);
  if (next >= timer_at_) return;
  timer_at_ = next;
  timer_->expires_at(next);
  timer_->async_wait([self = shared_from_this()](const SocketError& error) {
    if (error || !self->timer_) return;
    self->timer_at_ = Clock::time_point::max();
    self->on_timer();
    self->arm();
  });
}

void Connection::on_timer() {
  const Clock::time_point now = Clock::now();
  if (awaits_output_ && now >= write_due_) {
    const uint64_t taken = written_ - in_kernel();
    if (taken == taken_mark_) {
      ++state_->figures.timed_out;
      return lost();
    }
    taken_mark_ = taken;
    write_due_ = now + after(state_->settings.write_seconds);
  }
  if (record_.events && phase_ == Phase::kWorking && now >= ping_due_) {
    if (outbox_.empty()) write(": ping\n\n");
    ping_due_ = now + after(state_->settings.ping_seconds);
    if (phase_ == Phase::kClosed) return;
  }
  // It cannot be read any more, so its end would not be seen.
  if (room() == 0 && now >= check_due_) {
    check_due_ = now + kCheckEvery;
    pollfd peer{socket_->native_handle(), POLLRDHUP, 0};
    if (phase_ != Phase::kSending && poll(&peer, 1, 0) == 1) return lost();
  }
  const bool own = reading() || phase_ == Phase::kLingering || phase_ == Phase::kAuthDelay;
  if (own && now >= phase_due_) expired();
}

void Connection::expired() {
  if (phase_ == Phase::kHead || phase_ == Phase::kBody) {
    ++state_->figures.timed_out;
    const char* part = phase_ == Phase::kHead ? "head" : "body";
    refuse({408, "too_slow", std::string("the request's ") + part + " did not come in time", "", 0});
  } else if (phase_ == Phase::kAuthDelay) {
    refuse({401, "unauthorized", "a valid key is needed", "", 0});
  } else {
    close();
  }
}

}  // namespace inkstone::http
