// The program's voice: human text goes to standard error, so that standard output can be one JSON object or a table.
#pragma once

#include <string>
#include <string_view>

#include "app/machine.h"

namespace inkstone {

struct Console {
  bool quiet = false, verbose = false;
  // Of a server, which a full pipe must not stop: lines may be lost.
  bool never_waits = false;

  void say(std::string_view line) const {
    if (quiet) return;
    const std::string text = std::string(line) + "\n";
    never_waits ? write_error_unless_full(text) : write_error(text);
  }
  void detail(std::string_view line) const {
    if (verbose) say(line);
  }
};

}  // namespace inkstone
