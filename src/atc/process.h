// A program run without a shell, in a folder and a process group of its own. If this process gets
// SIGINT, SIGTERM or SIGHUP, it passes the signal on to the whole group, waits two seconds for it
// to end, and then treats the signal as it did before.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct ProcessCommand {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::filesystem::path folder;          // where it runs
  std::vector<std::string> environment;  // "NAME=value", in place of ours
  // Bytes of output that are kept: half from the beginning, half from the end.
  size_t max_output = size_t{1} << 20;
};

struct ProcessWatch {
  std::function<void(std::string_view line)>
      // A line of either stream, as it comes, without control characters, cut at 4096 bytes.
      line;
  // Called about twice a second; returns false to stop the program.
  std::function<bool(double seconds)> tick;
};

struct ProcessResult {
  static constexpr int kUnknown = -1;
  // 128 + the signal's number if a signal ended it. kUnknown if another part of this process asked
  // the system first.
  int code = kUnknown;
  bool told_to_stop = false;
  double seconds = 0;
  // Both streams, in the order in which they were written.
  std::string output;
};

// Runs one program at a time; a second caller waits. Throws Error if it cannot be started. If a
// callback throws, the program is ended first.
ProcessResult run_process(const ProcessCommand& command, const ProcessWatch& watch = {});

}  // namespace inkstone
