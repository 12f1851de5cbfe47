// The program's voice: human text goes to standard error, so that standard output can be one JSON object or a table.
#pragma once

#include <string>
#include <string_view>

#include "app/machine.h"

namespace inkstone {

inline void write_error_line(std::string_view line) { write_error(std::string(line) + "\n"); }

struct Console {
  bool quiet = false, verbose = false;
  // Where lines go; of a server to its log.
  void (*out)(std::string_view line) = write_error_line;

  void say(std::string_view line) const {
    if (!quiet) out(line);
  }
  void detail(std::string_view line) const {
    if (verbose) say(line);
  }
};

}  // namespace inkstone
