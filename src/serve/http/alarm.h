// A timer for the earliest of many times. To move it to a later time costs nothing: it still rings at
// the earlier one, and its user sets it again then.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <utility>

namespace inkstone::http {

using Clock = std::chrono::steady_clock;

inline Clock::duration after(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

class Alarm {
 public:
  explicit Alarm(boost::asio::io_context& events) : timer_(events) {}
  // Calls `ring` at this time, unless it is to ring before. `ring` must keep the alarm alive.
  template <typename Ring>
  void set(Clock::time_point at, Ring ring) {
    if (!timer_ || at >= at_) return;
    at_ = at;
    timer_->expires_at(at);
    timer_->async_wait([this, ring = std::move(ring)](const boost::system::error_code& error) {
      if (error || !timer_) return;
      at_ = Clock::time_point::max();
      ring();
    });
  }
  void stop() { timer_.reset(); }  // for good

 private:
  std::optional<boost::asio::steady_timer> timer_;
  Clock::time_point at_ = Clock::time_point::max();
};

}  // namespace inkstone::http
