// What a program prints, run without a shell and within limits.
#pragma once

#include <string>
#include <vector>

namespace inkstone {

struct ProgramOutput {
  // standard output and standard error as they came
  std::string text;
  // "took more than 5000 ms and was stopped"; "" if it ended by itself.
  std::string problem;
  // 128 + the signal's number if a signal ended it.
  int exit_code = -1;
};

// command[0] is a path. Past a limit the program and what it started are killed.
ProgramOutput program_output(const std::vector<std::string>& command, int max_milliseconds, size_t max_bytes);

}  // namespace inkstone
