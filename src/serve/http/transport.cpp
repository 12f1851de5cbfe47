#include "serve/http/transport.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "serve/http/entry.h"

namespace inkstone::http {
namespace {

namespace asio = boost::asio;
using SocketError = boost::system::error_code;
using namespace std::chrono_literals;

// Bytes that are thrown away for a client that reads its answer late. It may send its whole body
// first.
constexpr size_t kMaxLingered = 16 << 20;
constexpr auto kCheckEvery = 250ms;

template <typename Body>
void enter(const std::shared_ptr<TransportUser>& user, const Body& body) {
  enter_connection(body, [&] {
    if (user) user->failed();
  });
}

}  // namespace

Transport::Transport(ServerState& state, Socket socket)
    : state_(state),
      socket_(std::move(socket)),
      outbox_(state.memory),
      watch_(after(state.settings.write_seconds)),
      alarm_(state.events) {}

bool Transport::open(std::weak_ptr<TransportUser> user) {
  user_ = std::move(user);
  SocketError error;
  socket_->non_blocking(true, error);
  return !error;
}

void Transport::close() {
  socket_.reset();
  alarm_.stop();
  outbox_.clear();
  std::string().swap(ahead_);
}

void Transport::resume() {
  mode_ = Mode::kOpen;
  if (!ahead_.empty()) take(std::exchange(ahead_, std::string()));
  listen();
}

// Closing with bytes unread would reset the connection and could take the answer with it.
void Transport::linger() {
  mode_ = Mode::kLingering;
  std::string().swap(ahead_);
  SocketError error;
  socket_->shutdown(Socket::shutdown_send, error);
  if (input_over_ || error) return lose();
  listen();
}

void Transport::lose() {
  if (const auto user = user_.lock()) user->lost();
}

size_t Transport::room() const {
  const bool kept = mode_ == Mode::kHeld || mode_ == Mode::kFinishing;
  return kept ? state_.scratch.size() - std::min(state_.scratch.size(), ahead_.size()) : state_.scratch.size();
}

// No buffer is kept for what may come: the wait is for the socket, the reading happens at once.
void Transport::listen() {
  if (awaits_input_ || input_over_ || !socket_) return;
  if (room() == 0) {
    check_due_ = Clock::now() + kCheckEvery;
    return arm();
  }
  awaits_input_ = true;
  socket_->async_wait(Socket::wait_read, [this, user = user_.lock()](const SocketError&) {
    awaits_input_ = false;
    if (socket_) enter(user, [this] { readable(); });
  });
}

void Transport::readable() {
  SocketError error;
  const size_t size = socket_->read_some(asio::buffer(state_.scratch.data(), room()), error);
  if (error && error != asio::error::would_block) return input_ended(error == asio::error::eof);
  if (!error) take({state_.scratch.data(), size});
  listen();
}

void Transport::take(std::string_view bytes) {
  if (mode_ == Mode::kLingering) {
    lingered_ += bytes.size();
    if (lingered_ > kMaxLingered) lose();
    return;
  }
  const auto user = user_.lock();
  if (mode_ == Mode::kOpen && user) user->received(bytes);
  if (socket_) ahead_ += bytes;
}

// A client that sends no more counts as gone, unless its answer is already on the way.
void Transport::input_ended(bool orderly) {
  if (orderly && mode_ == Mode::kFinishing)
    input_over_ = true;
  else
    lose();
}

void Transport::send(std::string bytes) {
  outbox_.push(std::move(bytes));
  flush();
}

void Transport::finish(std::string bytes, std::string more, std::shared_ptr<const std::string> shared) {
  mode_ = Mode::kFinishing;
  outbox_.push(std::move(bytes));
  outbox_.push(std::move(more));
  outbox_.push(std::move(shared));
  // What was read of a stream says nothing about its end.
  if (watch_.waits()) watch_.begin_window(taken());
  flush();
}

void Transport::flush() {
  if (awaits_output_ || !socket_) return;
  while (!outbox_.empty()) {
    SocketError error;
    const size_t size = socket_->write_some(outbox_.front(), error);
    if (error == asio::error::would_block) {
      awaits_output_ = true;
      if (!watch_.waits()) watch_.begin(taken());
      socket_->async_wait(Socket::wait_write, [this, user = user_.lock()](const SocketError&) {
        awaits_output_ = false;
        if (socket_) enter(user, [this] { flush(); });
      });
      return arm();
    }
    if (error) return lose();
    outbox_.consume(size);
    written_ += size;
  }
  watch_.end();
  if (mode_ != Mode::kFinishing) return;
  // Not at once: many requests may wait in ahead_.
  asio::post(state_.events, [this, user = user_.lock()] {
    if (user && socket_ && mode_ == Mode::kFinishing && outbox_.empty()) enter(user, [&] { user->finished(); });
  });
}

ReadingPace Transport::pace() const {
  return watch_.waits() ? watch_.pace(taken()) : ReadingPace{0, Clock::time_point::max()};
}

size_t Transport::in_kernel() const {
  int bytes = 0;
  if (!socket_ || ioctl(const_cast<Socket&>(*socket_).native_handle(), SIOCOUTQ, &bytes) != 0) return 0;
  return static_cast<size_t>(std::max(bytes, 0));
}

size_t Transport::unsent() const { return outbox_.size() + in_kernel(); }

void Transport::arm() {
  if (!socket_) return;
  Clock::time_point next = Clock::time_point::max();
  if (awaits_output_) next = watch_.due();
  if (room() == 0) next = std::min(next, check_due_);
  alarm_.set(next, [this, user = user_.lock()] {
    enter(user, [this] {
      on_alarm();
      arm();
    });
  });
}

void Transport::on_alarm() {
  const Clock::time_point now = Clock::now();
  if (awaits_output_ && now >= watch_.due()) {
    // A stream has its own pace; a complete answer must not be held for ever by a few bytes now and then.
    const double least =
        mode_ == Mode::kFinishing ? double(state_.settings.min_rate) * state_.settings.write_seconds : 1;
    if (watch_.of_window(taken()) < least) {
      ++state_.figures.timed_out;
      return lose();
    }
    watch_.begin_window(taken());
  }
  // It cannot be read any more, so its end would not be seen.
  if (room() == 0 && now >= check_due_) {
    check_due_ = now + kCheckEvery;
    pollfd peer{socket_->native_handle(), POLLRDHUP, 0};
    if (mode_ != Mode::kFinishing && poll(&peer, 1, 0) == 1) lose();
  }
}

}  // namespace inkstone::http
