#include "serve/http/http_exchange.h"

#include <boost/asio/post.hpp>

#include "base/error.h"

namespace inkstone {

HttpExchange::HttpExchange(std::shared_ptr<Connection> connection, HttpRequest request)
    : connection_(std::move(connection)), request_(std::move(request)) {}

HttpExchange::~HttpExchange() {
  if (state_ == State::kOpen || state_ == State::kStreaming) connection_->abandon();
}

void HttpExchange::reply(HttpReply reply) {
  if (state_ == State::kLost) return end();
  INKSTONE_CHECK(state_ == State::kOpen, "a request is answered twice: ", request_.path);
  connection_->reply(std::move(reply));
  if (state_ == State::kOpen) state_ = State::kOver;
  end();
}

void HttpExchange::begin_stream(HttpReply head) {
  if (state_ == State::kLost) return;
  INKSTONE_CHECK(state_ == State::kOpen, "a request is answered twice: ", request_.path);
  state_ = State::kStreaming;
  try {
    connection_->begin_stream(std::move(head));
  } catch (...) {
    state_ = State::kOpen;
    throw;
  }
}

void HttpExchange::write(std::string_view chunk) {
  if (state_ == State::kLost) return;
  INKSTONE_CHECK(state_ == State::kStreaming, "no stream to write to: ", request_.path);
  connection_->write(chunk);
}

void HttpExchange::end_stream() {
  if (state_ == State::kLost) return end();
  INKSTONE_CHECK(state_ == State::kStreaming, "no stream to end: ", request_.path);
  state_ = State::kOver;
  connection_->end_stream();
  end();
}

size_t HttpExchange::unsent() const { return state_ == State::kStreaming ? connection_->unsent() : 0; }

// Who answers wants to hear no more.
void HttpExchange::end() {
  const std::function<void()> dropped = std::exchange(gone_, nullptr);  // may hold the last pointer to this
}

void HttpExchange::on_gone(std::function<void()> gone) {
  if (state_ == State::kOver) return;
  gone_ = std::move(gone);
  if (state_ == State::kLost) tell_soon();
}

void HttpExchange::lose() {
  if (state_ == State::kOver || state_ == State::kLost) return;
  state_ = State::kLost;
  if (gone_) tell_soon();
}

// Not at once: the loss may come out in the middle of a write() of the one who is to be told.
void HttpExchange::tell_soon() {
  if (connection_->hall().silent) return end();
  boost::asio::post(connection_->hall().events, [weak = weak_from_this()] {
    const std::shared_ptr<HttpExchange> exchange = weak.lock();
    if (!exchange || exchange->connection_->hall().silent) return;
    if (const auto gone = std::exchange(exchange->gone_, nullptr)) gone();
  });
}

}  // namespace inkstone
