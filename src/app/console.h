// The program's voice: human text goes to standard error, so that standard output can be one JSON object or a table.
#pragma once

#include <string>
#include <string_view>

#include "app/machine.h"

namespace inkstone {

struct Console {
  bool quiet = false, verbose = false;

  void say(std::string_view line) const {
    if (!quiet) write_error(std::string(line) + "\n");
  }
  void detail(std::string_view line) const {
    if (verbose) say(line);
  }
};

}  // namespace inkstone
