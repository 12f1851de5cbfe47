// The program's voice: human text goes to standard error, so that standard output can be one JSON object or a table.
#pragma once

#include <string>
#include <string_view>

#include "app/machine.h"
#include "base/json_fwd.h"

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

void print_json(const JsonObject& object);  // one line on standard output; then it has its one object

}  // namespace inkstone
