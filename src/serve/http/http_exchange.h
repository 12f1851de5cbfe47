// The exchange as a handler holds it. Dropped without an answer, the client is told so.
#pragma once

#include "serve/http/connection.h"

namespace inkstone {

class HttpExchange final : public Exchange, public std::enable_shared_from_this<HttpExchange> {
 public:
  HttpExchange(std::shared_ptr<Connection> connection, HttpRequest request);
  ~HttpExchange() override;
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override;
  void begin_stream(HttpReply head) override;
  void write(std::string_view chunk) override;
  void end_stream() override;
  size_t unsent() const override;
  void on_gone(std::function<void()> gone) override;

  void lose();  // by the connection: the client is gone
  bool open() const { return state_ == State::kOpen; }

 private:
  enum class State { kOpen, kStreaming, kOver, kLost };
  void tell_soon();
  void end();

  const std::shared_ptr<Connection> connection_;
  const HttpRequest request_;
  State state_ = State::kOpen;
  std::function<void()> gone_;
};

}  // namespace inkstone
