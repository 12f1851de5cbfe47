#include "app/pull_view.h"

#include <fmt/format.h>

#include <utility>

#include "app/byte_size.h"
#include "app/machine.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr auto kBetweenLines = std::chrono::milliseconds(100);
constexpr size_t kShortCommit = 12;

}  // namespace

std::string download_line(const DownloadState& state, int columns) {
  const double share = state.total ? static_cast<double>(state.done) / static_cast<double>(state.total) : 1;
  std::string tail = fmt::format("  {} %", static_cast<int>(share * 100));
  if (state.bytes_per_second > 0) {
    const double left = static_cast<double>(state.total - state.done) / state.bytes_per_second;
    tail +=
        fmt::format(", {}/s, {} left", byte_text(static_cast<uint64_t>(state.bytes_per_second)), duration_text(left));
  }
  constexpr std::string_view kCut = "...";
  const auto room = static_cast<size_t>(columns) > tail.size() ? static_cast<size_t>(columns) - tail.size() : 0;
  std::string path = state.path;
  if (path.size() > room)
    path = room > kCut.size() ? std::string(kCut) + path.substr(path.size() - room + kCut.size()) : "";
  return (path + tail).substr(0, static_cast<size_t>(columns));
}

PullView::PullView(ProgressView::Kind kind, Console console, std::string model)
    : kind_(kind), console_(console), model_(std::move(model)) {}

void PullView::say(const std::string& line) {
  clear();
  console_.say(line);
}

void PullView::clear() {
  if (drawn_) clear_line();
  drawn_ = false;
}

void PullView::planned(const PullPlan& plan) {
  if (plan.missing == 0) return;
  say(fmt::format("{} at {}: {} files, {}; {} to get", model_, plan.commit.substr(0, kShortCommit), plan.files,
                  byte_text(plan.bytes), byte_text(plan.missing)));
}

void PullView::begins(const HubFile&) { first_ = 0; }

void PullView::received(const HubFile& file, uint64_t bytes) {
  const auto now = std::chrono::steady_clock::now();
  if (first_ == 0 || bytes < first_) {
    first_ = bytes;
    begun_ = now;
  }
  if (kind_ != ProgressView::Kind::kBar || now - last_drawn_ < kBetweenLines) return;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const double rate = seconds > 1 ? static_cast<double>(bytes - first_) / seconds : 0;
  redraw_line(download_line({file.path, bytes, file.size, rate}, terminal_columns() - 1));
  drawn_ = true;
  last_drawn_ = now;
}

void PullView::ends(const HubFile& file) { say(fmt::format("  {}  {}", file.path, byte_text(file.size))); }

void PullView::waits_for_other(const HubFile& file) {
  say(fmt::format("  {}: another process is downloading it, waiting for that", file.path));
}

void PullView::pauses(const std::string& why, double seconds) {
  say(fmt::format("  {}: again in {:.0f} s", one_line(why), seconds));
}

}  // namespace inkstone
