// Moves the bytes of one client between its socket and a user. It waits without buffers, reads
// little ahead, keeps what the client does not take yet, and notices when the client is gone or takes
// nothing for too long. It knows nothing of HTTP but that answers follow requests.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/http/alarm.h"
#include "serve/http/outbox.h"
#include "serve/http/server_state.h"

namespace inkstone::http {

// How fast a client reads what waits for it.
struct ReadingPace {
  // Bytes a second, since something waits; infinite in the first second.
  double rate = 0;
  Clock::time_point since;  // when it began to wait
};

// Follows that pace, from the first byte that the kernel does not take to an empty outbox, and
// within it in windows of time. `taken` counts the bytes that the client has taken, ever.
class PaceWatch {
 public:
  explicit PaceWatch(Clock::duration window) : window_(window) {}
  bool waits() const { return waits_; }
  void begin(uint64_t taken) {
    waits_ = true;
    since_ = Clock::now();
    mark_ = taken;
    begin_window(taken);
  }
  void end() { waits_ = false; }
  void begin_window(uint64_t taken) {
    window_mark_ = taken;
    due_ = Clock::now() + window_;
  }
  Clock::time_point due() const { return due_; }  // when the window ends
  double of_window(uint64_t taken) const { return static_cast<double>(taken - window_mark_); }
  ReadingPace pace(uint64_t taken) const {
    const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    return {seconds < 1 ? HUGE_VAL : static_cast<double>(taken - mark_) / seconds, since_};
  }

 private:
  const Clock::duration window_;
  bool waits_ = false;
  uint64_t mark_ = 0, window_mark_ = 0;
  Clock::time_point since_, due_;
};

class TransportUser {
 public:
  virtual ~TransportUser() = default;
  // Takes what it wants from the front of bytes. The rest is kept until resume().
  virtual void received(std::string_view& bytes) = 0;
  virtual void finished() = 0;  // the answer is out
  // The client is gone, or takes nothing. The user must close the transport.
  virtual void lost() = 0;
  // The same after an exception. Must not throw.
  virtual void failed() noexcept = 0;
};

class Transport {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  Transport(ServerState& state, Socket socket);
  // Returns false if the socket cannot be used. Whatever the transport waits for keeps the user
  // alive, and the transport must be a part of the user.
  bool open(std::weak_ptr<TransportUser> user);
  void close();

  // Hands bytes to the user, first those that were kept.
  void resume();
  // From now on a little is read ahead and kept; the rest waits in the kernel.
  void hold() { mode_ = Mode::kHeld; }
  // The client sends no more. It may say so while its answer is on the way; else it is lost.
  bool input_over() const { return input_over_; }
  // Tells the client that nothing more follows and throws away what it still sends. lost() follows
  // when it closes or sends too much.
  void linger();

  // Sends at once what the client takes, and the rest later. It may call lost().
  void send(std::string bytes);
  // The same with the last bytes of an answer. It holds as hold() does; finished() follows later.
  void finish(std::string bytes, std::string more = {}, std::shared_ptr<const std::string> shared = nullptr);
  bool all_sent() const { return outbox_.empty(); }
  size_t unsent() const;                                 // bytes that the client's side has not taken
  size_t outbox_size() const { return outbox_.size(); }  // of these, those in this process
  ReadingPace pace() const;
  uint64_t written() const { return written_; }  // to the kernel, ever

 private:
  enum class Mode { kOpen, kHeld, kFinishing, kLingering };

  void listen();
  void readable();
  void take(std::string_view bytes);
  void input_ended(bool orderly);
  void flush();
  void arm();
  void on_alarm();
  void lose();
  size_t room() const;
  size_t in_kernel() const;
  uint64_t taken() const { return written_ - in_kernel(); }  // by the client, ever

  ServerState& state_;
  std::optional<Socket> socket_;  // none once closed
  std::weak_ptr<TransportUser> user_;
  Mode mode_ = Mode::kHeld;
  bool awaits_input_ = false, awaits_output_ = false, input_over_ = false;
  std::string ahead_;  // read and not yet looked at
  Outbox outbox_;
  uint64_t written_ = 0;  // to the kernel, ever
  size_t lingered_ = 0;
  PaceWatch watch_;
  Clock::time_point check_due_;
  Alarm alarm_;
};

}  // namespace inkstone::http
