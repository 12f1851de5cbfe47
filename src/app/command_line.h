// The command line: which command, with which options, or a text (help, version) to show instead.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/options.h"

namespace inkstone {

struct CommandLine {
  std::optional<std::string> text;  // to print; nothing else is to be done
  bool misused = false;             // the text answers a command line without a command: exit code 2
  Command command = Command::kGenerate;
  Options options;
};

// Throws UsageError, one line with a way out, for whatever cannot be read. `arguments` are those after the program's name.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

}  // namespace inkstone
