// A program run without a shell, in a folder and a process group of its own. It never outlives us
// where we are told to stop: SIGINT, SIGTERM and SIGHUP are passed on to its whole group, which has
// two seconds to leave, and then do to us what they did before.
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
  // bytes that are kept: the first and the last halves
  size_t max_output = size_t{1} << 20;
};

struct ProcessWatch {
  std::function<void(std::string_view line)>
      // of both streams, as it comes: no control characters, cut at 4096 bytes
      line;
  // about twice a second; false: stop it
  std::function<bool(double seconds)> tick;
};

struct ProcessResult {
  // 128 + its number where a signal ended it
  int code = -1;
  bool told_to_stop = false;
  double seconds = 0;
  // both streams in the order of writing
  std::string output;
};

// One at a time: a second caller waits. Throws Error where it cannot be started; what a callback
// throws ends the program first.
ProcessResult run_process(const ProcessCommand& command, const ProcessWatch& watch = {});

}  // namespace inkstone
