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

// How a connection stands beside the others.
struct Standing {
  bool resting = false;  // between requests
  // It has no admitted request and no answer on its way, so it can give way to another.
  bool evictable = false;
  // Since it came, or had its last answer.
  Clock::time_point waiting_since;
  int places_of_address = 0;  // connections of its address
  // Of the client that asks now: the peer, or whom a trusted proxy names.
  const std::string* client = nullptr;
  // Bytes that this process holds for it.
  size_t unread = 0;
  // Bytes that are kept for a body that is on its way.
  size_t body = 0;
  ReadingPace pace;
};

class Connection final : public TransportUser, public std::enable_shared_from_this<Connection> {
 public:
  using Socket = Transport::Socket;

  Connection(std::shared_ptr<ServerState> state, Socket socket, Peer peer);
  void start();
  // At once; who works on its request is told.
  void close() noexcept;
  Standing standing() const;

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
  void failed() noexcept override { close(); }

  bool reading() const { return phase_ <= Phase::kBody; }
  void enter(Phase phase, Clock::time_point due = Clock::time_point::max());
  void rest();
  void linger();
  void arm();
  void on_alarm();
  void read_request(std::string_view& bytes);
  void admit();
  void reserve_body();
  void dispatch();
  void refuse(const Error& error);

  const std::shared_ptr<ServerState> state_;
  Peer peer_;
  std::string client_;           // the address of who asks now
  const int* places_ = nullptr;  // of its address
  BodyShare body_;               // until the request's handler returns
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
  // When it came, or had its last answer.
  Clock::time_point waiting_since_ = Clock::now();
  Alarm alarm_;
};

}  // namespace inkstone::http
