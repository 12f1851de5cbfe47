// What is told of a download: on a terminal a line that changes, elsewhere a line for each file.
#pragma once

#include <chrono>
#include <string>

#include "app/console.h"
#include "app/progress.h"
#include "hub/pull.h"

namespace inkstone {

struct DownloadState {
  std::string path;
  uint64_t done = 0, total = 0;
  double bytes_per_second = 0;  // 0: not known
};
// "unet/config.json  43 %, 12.3 MiB/s, 1:05 left"; the path is cut at its front to make it fit.
std::string download_line(const DownloadState& state, int columns);

class PullView : public ModelPullWatcher {
 public:
  PullView(ProgressView::Kind kind, Console console, std::string model);
  ~PullView() override { clear(); }
  PullView(const PullView&) = delete;
  PullView& operator=(const PullView&) = delete;

  void planned(const PullPlan& plan) override;
  void begins(const HubFile& file) override;
  void received(const HubFile& file, uint64_t bytes) override;
  void ends(const HubFile& file) override;
  void waits_for_other(const HubFile& file) override;
  void pauses(const std::string& why, double seconds);
  void clear();  // the changing line is empty again

 private:
  void say(const std::string& line);

  ProgressView::Kind kind_;
  Console console_;
  std::string model_;
  bool drawn_ = false;
  uint64_t first_ = 0;  // bytes of the file before this download's second piece
  std::chrono::steady_clock::time_point begun_{}, last_drawn_{};
};

}  // namespace inkstone
