// A connection to a Redis server on the event thread. Commands go out in order, many at a time, and each has its reply or
// learns that there is none. A connection that fails is made anew, after a pause that grows from 50 ms to 2 s.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/redis/redis_address.h"
#include "serve/redis/redis_reply.h"

namespace inkstone::serve {

struct RedisLimits {
  double reply_seconds = 5;  // of silence while a reply is due: the server is away
  double wait_seconds = 2;   // that a command waits for a connection
  size_t max_unsent = size_t{64} << 20;
};

class RedisConnection {
 public:
  // Nothing: there is no connection, or it ended before the reply. Whether the command took effect is not known then.
  using Reply = std::function<void(std::optional<RedisReply>)>;

  // Throws UsageError for an address with TLS, which is not there yet.
  RedisConnection(boost::asio::io_context& events, RedisAddress address, RedisLimits limits = {});
  ~RedisConnection();  // no reply comes any more

  void call(std::vector<std::string> words, Reply reply);
  bool connected() const { return ready_; }
  // Why there is none, in one line; empty where there is one.
  const std::string& fault() const { return fault_; }
  // Ends what there is: its server is not the one that commands should go to any more.
  void reconnect(const std::string& why);

 private:
  class Link;
  struct Waiting {
    std::string command;
    Reply reply;
    double since;
  };

  void connect();
  void opened();
  void lost(const std::string& why);
  void watch();
  double now() const;

  boost::asio::io_context& events_;
  const RedisAddress address_;
  const RedisLimits limits_;
  std::shared_ptr<Link> link_;
  bool ready_ = false;
  std::string fault_ = "not connected yet";
  std::deque<Waiting> waiting_;  // for a connection
  size_t waiting_bytes_ = 0;
  std::deque<Waiting> sent_;  // whose replies are due, without their bytes
  double pause_ = 0, heard_ = 0;
  boost::asio::steady_timer again_, watch_;
};

}  // namespace inkstone::serve
