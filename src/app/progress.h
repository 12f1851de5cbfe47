// How far an image is: a bar on a terminal, plain lines elsewhere, nothing when quiet. The texts are pure functions.
#pragma once

#include <chrono>
#include <string>

#include "diffusion/generate.h"

namespace inkstone {

struct ProgressState {
  int image = 1, images = 1;
  int done = 0, total = 0;  // calls of the U-Net
  double seconds = 0;       // since the first call began
};

std::string duration_text(double seconds);        // "4.2 s", "1:05", "2:00:09"
std::string rate_text(int done, double seconds);  // "7.50 it/s", "12.3 s/it"; "" where nothing is known
std::string progress_bar(const ProgressState& state, int columns);  // at most `columns` wide
std::string progress_text(const ProgressState& state);              // a line for a log
bool is_reported(int done, int total);                              // whether this call gets a line: one for each tenth

class ProgressView {
 public:
  enum class Kind { kNothing, kLines, kBar };
  ProgressView(Kind kind, int images);
  ~ProgressView() { clear(); }
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  // What generate() is to tell; borrows this.
  Progress callbacks(int image);
  void clear();  // the bar's line is empty again

 private:
  void show(const std::string& line);
  void stepped(int call, int calls, double seconds);

  Kind kind_;
  ProgressState state_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_drawn_{};
};

ProgressView::Kind progress_kind(bool quiet);  // by what standard error is

}  // namespace inkstone
