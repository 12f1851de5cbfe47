// The exchange as a handler holds it. Dropped without an answer, the client is told so.
#pragma once

#include "serve/http/connection.h"

namespace inkstone::http {

class ConnectionExchange final : public Exchange, public std::enable_shared_from_this<ConnectionExchange> {
 public:
  ConnectionExchange(std::shared_ptr<Connection> connection, ServerState& server, Request request);
  ~ConnectionExchange() override;
  const Request& request() const override { return request_; }
  void reply(Reply reply) override;
  void begin_stream(Reply head) override;
  void write(std::string_view chunk) override;
  void end_stream() override;
  size_t unsent() const override;
  void on_gone(std::function<void()> gone) override;

  // By the connection: the client is gone.
  void lose() noexcept;
  // ... the handler has returned.
  void forget_body() { std::string().swap(request_.body); }
  bool open() const { return state_ == State::kOpen; }

 private:
  enum class State { kOpen, kStreaming, kOver, kLost };
  void tell_soon();
  void end();

  const std::shared_ptr<Connection> connection_;
  ServerState& server_;
  Request request_;
  State state_ = State::kOpen;
  std::function<void()> gone_;
};

}  // namespace inkstone::http
