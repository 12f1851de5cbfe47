// One request over one connection, and all the moments in its life. Nothing is tried twice.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "load/dialect.h"

namespace inkstone {

using Clock = std::chrono::steady_clock;

struct Target {
  boost::asio::ip::tcp::endpoint endpoint;
  std::string host;  // as the Host header says it
  std::string key;   // empty: none
};
// "http://127.0.0.1:8080". Other machines only where `remote`: UsageError.
Target target_of(const std::string& url, bool remote);

struct CallSpec {
  HttpText text;
  bool stream = false;
  Clock::time_point timeout;                   // then it is closed
  std::optional<Clock::time_point> give_up{};  // then its sender goes away
};

struct CallResult {
  enum class End { kAnswered, kGaveUp, kTimedOut, kBroken };
  End end = End::kAnswered;
  int status = 0;
  // kBroken: what the system said; of an event stream: its error's code.
  std::string error;
  // Seconds; less than 0: it did not say.
  double retry_after = -1;
  // The body, or each event that may hold an image.
  std::vector<std::string> answers;
  std::optional<Clock::time_point> first_step{};
  Clock::time_point ended{};
};

// Tells once, on the event thread.
void start_call(boost::asio::io_context& events, const Target& target, CallSpec spec,
                std::function<void(CallResult)> done);

}  // namespace inkstone
