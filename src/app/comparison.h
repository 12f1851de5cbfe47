// Two results of bench, now against before: seconds and shares of the peak, stage by stage and op by op, and memory.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace inkstone {

// A result written by `inkstone bench --out` or `--json`; Error naming the file where it is something else.
JsonObject read_bench(const std::filesystem::path& path);

// UsageError where `before` is of another model (by its parameters) or image size: its seconds would mean nothing.
void expect_same_work(const JsonObject& before, const std::string& source, const JsonObject& now);

struct Compared {         // a row; what one of the two does not have is unset
  std::string stage, op;  // op is "" for the stage itself
  std::optional<double> seconds, seconds_before;
  std::optional<double> fraction, fraction_before;  // of the peak that was probed in the same run
};

struct Comparison {
  std::string source;
  std::vector<std::string> notes;  // in what else the two differ
  std::vector<Compared> rows;
  std::optional<double> bytes, bytes_before;  // resident at the peak
};

Comparison compare(const JsonObject& now, const JsonObject& before, const std::string& source);
std::optional<double> ratio(const std::optional<double>& now, const std::optional<double>& before);

JsonObject comparison_json(const Comparison& comparison);
std::string comparison_table(const Comparison& comparison);  // lines, each ended

}  // namespace inkstone
