// One connection: it takes a client through its requests, one after the other. It has each request
// read and admitted, hands it to its handler, has the answer sent, and starts again. Every phase has
// an end in time. Whatever happens to the client ends in close().
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "serve/http/alarm.h"
#include "serve/http/answer.h"
#include "serve/http/request_reader.h"
#include "serve/http/server_state.h"
#include "serve/http/transport.h"

namespace inkstone::http {

class ConnectionExchange;

class Connection final : public TransportUser, public std::enable_shared_from_this<Connection> {
 public:
  using Socket = Transport::Socket;

  Connection(std::shared_ptr<ServerState> state, Socket socket, std::string address);
  void start();
  // At once; who works on its request is told.
  void close();
  bool resting() const { return phase_ == Phase::kResting; }
  Clock::time_point due() const { return phase_due_; }

  // For the exchange that is under way.
  void reply(Reply reply);
  void begin_stream(const Reply& head);
  void write(std::string_view chunk);
  void end_stream();
  void abandon();  // nobody will answer
  size_t unsent() const { return transport_.unsent(); }

 private:
  enum class Phase {
    kResting,  // between requests
    kHead,     // of a request, begun
    kBody,     // the head is accepted
    // A handler has the request; also while it streams.
    kWorking,
    // A wrong key: the answer is delayed.
    kAuthDelay,
    // The answer is complete and goes out.
    kSending,
    // The last answer is out; the client may still be sending.
    kLingering,
    kClosed
  };

  void received(std::string_view& bytes) override;
  void finished() override;
  void lost() override;

  bool reading() const { return phase_ <= Phase::kBody; }
  void enter(Phase phase, Clock::time_point due = Clock::time_point::max());
  void rest();
  void linger();
  void arm();
  void on_alarm();
  void read_request(std::string_view& bytes);
  void admit();
  void dispatch();
  void refuse(const Error& error);

  const std::shared_ptr<ServerState> state_;
  const std::string address_;
  Transport transport_;
  Phase phase_ = Phase::kResting;
  // From a request's first byte to its last.
  std::unique_ptr<RequestReader> reader_;
  // From a request's first byte to the end of its answer.
  std::optional<Answer> answer_;
  const Route* route_ = nullptr;
  ConnectionExchange* exchange_ = nullptr;
  CountedOnce exchange_counted_;
  // When the phase must have ended and when a ping is sent, if at all.
  Clock::time_point phase_due_, ping_due_;
  Alarm alarm_;
};

}  // namespace inkstone::http
