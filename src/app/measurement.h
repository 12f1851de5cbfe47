// What bench measured, stage by stage and op by op, set against the machine's own peak.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/json.h"

namespace inkstone {

struct OpTotals {
  std::string op;
  int calls = 0;       // in one run of the stage
  double seconds = 0;  // of one run
  double flops = 0;
};

struct Measurement {
  std::string stage;
  std::vector<double> runs;   // seconds of each
  std::vector<OpTotals> ops;  // means over the runs, slowest first

  double seconds() const;  // mean
  double best_seconds() const;
  double flops() const;  // of one run
};

// A profile of `runs` runs becomes one run's means by op class, slowest first.
std::vector<OpTotals> totals_by_op(std::span<const CallProfile> profile, int runs);

// peak: floating point operations a second in the precision that was used; 0: not known, and no shares are given.
JsonObject measurement_json(const Measurement& measurement, double peak);
std::string measurement_table(const Measurement& measurement, double peak);  // lines, each ended

}  // namespace inkstone
