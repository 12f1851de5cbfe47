#include "app/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <system_error>
#include <utility>

#include "app/machine.h"
#include "base/environment.h"
#include "diffusion/scheduler.h"

namespace inkstone {
namespace {

constexpr auto kMinBetweenDraws = std::chrono::milliseconds(100);
constexpr auto kTick = std::chrono::milliseconds(500);

int shown_done(const ProgressState& state) { return steps_done(state.done, state.total, state.steps); }

std::string image_text(const ProgressState& state, const char* form) {
  return state.images > 1 ? fmt::format(fmt::runtime(form), state.image, state.images) : "";
}

// ", 7.50 it/s, 1.2 s left", and what it took when all is done
std::string pace_text(const ProgressState& state) {
  const std::string rate = rate_text(state.done, state.seconds);
  if (rate.empty()) return "";
  if (state.done >= state.total) return fmt::format(", {}, {}", rate, duration_text(state.seconds));
  const double left = state.seconds / state.done * (state.total - state.done);
  return fmt::format(", {}, {} left", rate, duration_text(left));
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) seconds = 0;
  if (seconds < 59.95) return fmt::format("{:.{}f} s", seconds, seconds < 0.0995 ? 3 : seconds < 0.995 ? 2 : 1);
  const auto whole = static_cast<int64_t>(std::llround(std::min(seconds, 1e9)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string rate_text(int done, double seconds) {
  if (done < 1 || !(seconds > 0)) return "";
  const double rate = done / seconds;
  if (rate < 0.1) return fmt::format("{:.1f} s/it", 1 / rate);
  return fmt::format("{:.{}f} it/s", rate, rate < 10 ? 2 : rate < 100 ? 1 : 0);
}

std::string steps_text(int steps) { return fmt::format("{} step{}", steps, steps == 1 ? "" : "s"); }

std::string progress_bar(const ProgressState& state, int columns) {
  constexpr int kMinBar = 5, kMaxBar = 40;
  const size_t width = static_cast<size_t>(std::max(columns, 0));
  const std::string head = image_text(state, "image {}/{} ");
  const std::string tail = fmt::format(" {}/{}{}", shown_done(state), state.steps, pace_text(state));
  const int room = static_cast<int>(width) - static_cast<int>(head.size() + tail.size()) - 2;
  if (room < kMinBar) return (head + tail.substr(1)).substr(0, width);
  const int cells = std::min(room, kMaxBar);
  const int full = state.total > 0 ? static_cast<int>(int64_t{cells} * state.done / state.total) : 0;
  return fmt::format("{}[{:#<{}}{:.<{}}]{}", head, "", full, "", cells - full, tail);
}

std::string progress_text(const ProgressState& state) {
  const int steps = state.steps, done = shown_done(state);
  const int percent = steps > 0 ? static_cast<int>(int64_t{100} * done / steps) : 0;
  return fmt::format("{}step {} of {} ({} %){}", image_text(state, "image {} of {}: "), done, steps, percent,
                     pace_text(state));
}

std::string first_step_text(const ProgressState& state, double elapsed) {
  const std::string time = elapsed < 1    ? ""
                           : elapsed < 60 ? fmt::format(" {:.0f} s", std::floor(elapsed))
                                          : " " + duration_text(std::floor(elapsed));
  return fmt::format("{}step 1 of {} \u2026{}", image_text(state, "image {} of {}: "), state.steps, time);
}

bool is_reported(int done, int total) {
  if (done < 1 || total < 1) return false;
  return done == total || int64_t{10} * done / total > int64_t{10} * (done - 1) / total;
}

ProgressView::Kind progress_kind(bool quiet) {
  if (quiet) return ProgressView::Kind::kNothing;
  const bool dumb = environment(Variable::kTerm).value_or("dumb") == "dumb";
  return is_terminal(2) && !dumb ? ProgressView::Kind::kBar : ProgressView::Kind::kLines;
}

void redraw_line(const std::string& line) {
  write_error("\r" + line.substr(0, static_cast<size_t>(terminal_columns() - 1)) +
              "\x1b[K");  // K: clears what is right of it
}

void clear_line() { write_error("\r\x1b[K"); }

ProgressView::ProgressView(Kind kind, int images) : kind_(kind) { state_.images = images; }

void ProgressView::show(const std::string& line) {
  if (kind_ == Kind::kLines) write_error(line + "\n");
  if (kind_ != Kind::kBar) return;
  redraw_line(line);
  drawn_ = true;
  last_drawn_ = std::chrono::steady_clock::now();
}

void Ticker::start(std::function<void()> tick) {
  stop();
  stopping_ = false;
  try {
    thread_ = std::thread([this, tick = std::move(tick)] {
      std::unique_lock lock(mutex_);
      do tick();
      while (!stopped_.wait_for(lock, kTick, [this] { return stopping_; }));
    });
  } catch (const std::system_error&) {  // no thread is left: an image does without a clock
  }
}

void Ticker::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void ProgressView::clear() {
  ticker_.stop();
  if (drawn_) clear_line();
  drawn_ = false;
}

void ProgressView::wait_for_first_step() {
  if (kind_ == Kind::kLines) show(first_step_text(state_, 0));
  if (kind_ != Kind::kBar) return;
  ticker_.start([this] {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begun_;
    show(first_step_text(state_, elapsed.count()));
  });
}

void ProgressView::stepped(int call, int calls, double seconds) {
  const int before = steps_done(state_.done, calls, state_.steps);
  ticker_.stop();
  state_.done = call;
  state_.total = calls;
  state_.seconds = seconds;
  const int steps = shown_done(state_);
  if (kind_ == Kind::kLines && steps > before && is_reported(steps, state_.steps)) show(progress_text(state_));
  const bool due = std::chrono::steady_clock::now() - last_drawn_ >= kMinBetweenDraws;
  if (kind_ == Kind::kBar && (due || call == calls)) show(progress_bar(state_, terminal_columns() - 1));
}

Progress ProgressView::callbacks(int image, int steps) {
  ticker_.stop();
  state_ = {image, state_.images, 0, 0, 0, steps};
  begun_ = std::chrono::steady_clock::now();
  last_drawn_ = {};
  return {[this](const std::string& component) { show("preparing " + component); }, [this] { wait_for_first_step(); },
          [this](int call, int calls, double seconds) { stepped(call, calls, seconds); }, [this] { show("decoding"); }};
}

}  // namespace inkstone
