// What INKSTONE_ASCEND_SIM asks for: "key=value;key=value" (README.md lists the keys).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ascend_sim {

// for the Nth call of a function from when it was set, or each where nth is 0
struct Fault {
  enum class Kind { kFail, kSlow, kHang } kind;
  std::string call;
  uint64_t nth = 0;
  int value = 0;  // the code, or milliseconds
  uint64_t seen = 0;
};

struct Settings {
  std::string soc = "Ascend910B4";
  std::string cann = "8.1.RC1";
  int devices = 1;
  uint64_t memory_bytes = 0;  // 0: what the chip has
  int64_t lost_after = -1;    // executions
  std::string report;         // a file
  std::vector<Fault> faults;

  static Settings from_environment();
  void take(const std::string& text);  // throws std::invalid_argument naming what is wrong
};

// What happens to one call: a code to fail with, a time to wait first, whether it never ends.
struct Outcome {
  int code = 0, delay_ms = 0;
  bool hangs = false;
};
Outcome outcome_of(Settings& settings, const std::string& call);

}  // namespace ascend_sim
