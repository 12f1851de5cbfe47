// One connection: it reads a request, admits or refuses it, sends the answer, and starts again. It
// waits without buffers, works on one request at a time, reads little ahead, and every wait has an
// end. While a request is worked on, it watches whether the client is still there. Whatever happens
// to the client ends in close().
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "serve/http/outbox.h"
#include "serve/http/request_reader.h"
#include "serve/http/server_state.h"

namespace inkstone::http {

class ConnectionExchange;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;
  using Socket = boost::asio::generic::stream_protocol::socket;

  Connection(std::shared_ptr<ServerState> state, Socket socket, std::string address);
  void start();
  // At once; who works on its request is told.
  void close();
  bool resting() const { return phase_ == Phase::kResting; }
  Clock::time_point due() const { return phase_due_; }
  ServerState& state() { return *state_; }

  // For the exchange that is under way.
  void reply(Reply reply);
  void begin_stream(Reply head);
  void write(std::string_view chunk);
  void end_stream();
  void abandon();  // nobody will answer
  size_t unsent() const;

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
  // Of the request for the log, and what its answer depends on.
  struct Record {
    std::string id, client, method, path, origin;
    Clock::time_point started;
    int version = 11, status = 0;
    size_t bytes = 0;
    bool begun = false, keep_alive = false, chunked = false, events = false;
    ErrorShape errors = ErrorShape::kOwn;
  };
  bool reading() const { return phase_ <= Phase::kBody; }

  // connection.cpp: bytes and time
  void listen();
  void readable();
  void input_ended(bool orderly);
  void take(std::string_view bytes);
  void send(std::string bytes);
  void flush();
  void lost();
  void rest();
  void linger();
  void arm();
  void on_timer();
  void expired();
  size_t room() const;
  size_t in_kernel() const;

  // connection_request.cpp: requests and answers
  void feed(std::string_view bytes);
  void read_request(std::string_view& bytes);
  void begin_record();
  void admit();
  void admit_client(Request& request, const Route& route);
  void admit_body(const Route& route);
  void answer_without_route(const Request& request);
  void dispatch();
  void refuse(const Error& error);
  std::string head_of(const Reply& reply, std::optional<size_t> length, bool chunked);
  void begin_answer(const Reply& reply);
  void answer(Reply reply);
  void answered();
  void log(bool gone);

  const std::shared_ptr<ServerState> state_;
  std::optional<Socket> socket_;  // none once closed
  std::optional<boost::asio::steady_timer> timer_;
  const std::string address_;
  Phase phase_ = Phase::kResting;
  bool awaits_input_ = false, awaits_output_ = false, input_over_ = false, counted_ = false;
  // From a request's first byte to its last.
  std::unique_ptr<RequestReader> reader_;
  std::string ahead_;  // read and not yet looked at
  Router::Match match_;
  Record record_;
  ConnectionExchange* exchange_ = nullptr;
  Outbox outbox_;
  // Bytes given to the kernel; bytes the client had when the wait began.
  uint64_t written_ = 0, taken_mark_ = 0;
  size_t lingered_ = 0;
  Clock::time_point phase_due_, write_due_, ping_due_, check_due_, timer_at_ = Clock::time_point::max();
};

inline Connection::Clock::duration after(double seconds) {
  return std::chrono::duration_cast<Connection::Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace inkstone::http
