#include "serve/http/connection_exchange.h"

#include <boost/asio/post.hpp>

#include "base/error.h"
#include "serve/http/entry.h"

namespace inkstone::http {

ConnectionExchange::ConnectionExchange(std::shared_ptr<Connection> connection, ServerState& server, Request request)
    : connection_(std::move(connection)), server_(server), request_(std::move(request)) {}

ConnectionExchange::~ConnectionExchange() {
  if (state_ != State::kOpen && state_ != State::kStreaming) return;
  enter_connection([&] { connection_->abandon(); }, [&] { connection_->close(); });
}

void ConnectionExchange::reply(Reply reply) {
  if (state_ == State::kLost) return end();
  INKSTONE_CHECK(state_ == State::kOpen, "a request is answered twice: ", request_.path);
  connection_->reply(std::move(reply));
  if (state_ == State::kOpen) state_ = State::kOver;
  end();
}

void ConnectionExchange::begin_stream(Reply head) {
  if (state_ == State::kLost) return;
  INKSTONE_CHECK(state_ == State::kOpen, "a request is answered twice: ", request_.path);
  state_ = State::kStreaming;
  try {
    connection_->begin_stream(head);
  } catch (...) {
    if (state_ == State::kStreaming) state_ = State::kOpen;
    throw;
  }
}

void ConnectionExchange::write(std::string_view chunk) {
  if (state_ == State::kLost) return;
  INKSTONE_CHECK(state_ == State::kStreaming, "no stream to write to: ", request_.path);
  connection_->write(chunk);
}

void ConnectionExchange::end_stream() {
  if (state_ == State::kLost) return end();
  INKSTONE_CHECK(state_ == State::kStreaming, "no stream to end: ", request_.path);
  state_ = State::kOver;
  connection_->end_stream();
  end();
}

size_t ConnectionExchange::unsent() const { return state_ == State::kStreaming ? connection_->unsent() : 0; }

// Who answers wants to hear no more.
void ConnectionExchange::end() {
  // May hold the last pointer to this.
  const std::function<void()> dropped = std::exchange(gone_, nullptr);
}

void ConnectionExchange::on_gone(std::function<void()> gone) {
  if (state_ == State::kOver) return;
  gone_ = std::move(gone);
  if (state_ == State::kLost) tell_soon();
}

void ConnectionExchange::lose() noexcept {
  if (state_ == State::kOver || state_ == State::kLost) return;
  state_ = State::kLost;
  if (!gone_) return;
  try {
    tell_soon();
  } catch (const std::exception&) {
    end();  // without memory to tell it later: what it holds goes now
  }
}

// Not at once: the loss may come out in the middle of a write() of the one who is to be told.
void ConnectionExchange::tell_soon() {
  if (server_.silent) return end();
  boost::asio::post(server_.events, [weak = weak_from_this()] {
    const std::shared_ptr<ConnectionExchange> exchange = weak.lock();
    if (!exchange || exchange->server_.silent) return;
    const auto gone = std::exchange(exchange->gone_, nullptr);
    if (gone) enter_connection(gone, [] {});
  });
}

}  // namespace inkstone::http
