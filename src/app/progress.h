// How far an image is: a bar on a terminal, plain lines elsewhere, nothing when quiet. The texts are pure functions.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "diffusion/generate.h"

namespace inkstone {

struct ProgressState {
  int image = 1, images = 1;
  int done = 0, total = 0;  // evaluations of the U-Net
  double seconds = 0;       // since the first evaluation began
  // Steps that were asked for; PNDM makes them in more evaluations.
  int steps = 0;
};

std::string duration_text(double seconds);        // "4.2 s", "1:05", "2:00:09"
std::string rate_text(int done, double seconds);  // "7.50 it/s", "12.3 s/it"; "" where nothing is known
std::string steps_text(int steps);                // "1 step", "20 steps"
std::string progress_bar(const ProgressState& state, int columns);  // at most `columns` wide
std::string progress_text(const ProgressState& state);              // a line for a log
// Before the first step is done: "step 1 of 20 … 12 s". `elapsed` seconds, shown from 1 on.
std::string first_step_text(const ProgressState& state, double elapsed);
bool is_reported(int done, int total);  // whether this step gets a line: one for each tenth

// On a terminal: the line that the cursor is on becomes this one, cut to the terminal's width; then it
// is empty again.
void redraw_line(const std::string& line);
void clear_line();

// Calls a function now, then twice a second, on a thread of its own, until stop().
class Ticker {
 public:
  ~Ticker() { stop(); }
  void start(std::function<void()> tick);
  void stop();

 private:
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
};

class ProgressView {
 public:
  enum class Kind { kNothing, kLines, kBar };
  ProgressView(Kind kind, int images);
  ~ProgressView() { clear(); }
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  // What generate() is to tell of an image with so many steps; borrows this.
  Progress callbacks(int image, int steps);
  void clear();  // the bar's line is empty again

 private:
  void show(const std::string& line);
  void wait_for_first_step();
  void stepped(int call, int calls, double seconds);

  Kind kind_;
  ProgressState state_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point begun_{}, last_drawn_{};
  Ticker ticker_;
};

ProgressView::Kind progress_kind(bool quiet);  // by what standard error is

}  // namespace inkstone
