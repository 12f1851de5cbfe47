// inkstone devices: what there is to run on, and how it does, once or again and again.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "app/commands.h"
#include "app/console.h"
#include "app/devices_report.h"
#include "app/report.h"
#include "app/signals.h"
#include "base/spelling.h"

namespace inkstone {
namespace {

// On a terminal each listing of the devices takes the place of the one before, line by line, so that nothing flickers.
std::string redrawn(const std::string& text, bool first) {
  std::string result = first ? "\x1b[2J\x1b[H" : "\x1b[H";
  for (char c : text) {
    if (c == '\n') result += "\x1b[K";
    result += c;
  }
  return result + "\x1b[J";
}

}  // namespace

int run_devices(const Options& options) {
  const bool json = options.json.value_or(false), verbose = options.verbose.value_or(false);
  const bool redraw = options.watch && !json && is_terminal(STDOUT_FILENO);
  for (bool first = true;; first = false) {
    const std::vector<DeviceStatus> devices = device_status();
    const std::time_t now = std::time(nullptr);
    if (json) {
      result_is_printed();
      write_output(devices_json_line(devices, now));
    } else {
      std::string text = devices_table(devices, verbose);
      if (options.watch)
        text = fmt::format("{:%Y-%m-%d %H:%M:%S}, every {} s, Ctrl-C ends\n", fmt::localtime(now), *options.watch) +
               text + (redraw ? "" : "\n");
      write_output(redraw ? redrawn(text, first) : text);
    }
    if (!options.watch) return 0;
    std::this_thread::sleep_for(std::chrono::duration<double>(shortest(*options.watch)));
  }
}

}  // namespace inkstone
