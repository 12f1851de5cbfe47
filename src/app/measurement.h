// What bench measured of one stage: its runs, its calls by op class, its memory, set against the machine's own peak.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/memory_watch.h"
#include "backend/backend.h"

namespace inkstone {

struct OpTotals {  // of one run of the stage: medians of the runs
  std::string op;
  int calls = 0;
  double seconds = 0;
  double flops = 0;
  double bytes = 0;  // of the values and weights that the calls read and write
};

// Calls by op class, slowest first, of the profiles of several runs. What most runs do not do is not there.
std::vector<OpTotals> totals_by_op(std::span<const std::vector<CallProfile>> runs);

struct Measurement {
  std::string stage;
  double work = 0;             // FLOPs of one run, of the model as written, however they were done
  std::vector<double> runs{};  // seconds of each
  std::vector<std::vector<CallProfile>> profiles{};  // of each; empty where the device keeps none
  size_t planned = 0;                                // bytes of its program: weights, arena and scratch
  MemoryPeaks memory{};

  double seconds() const;  // median
  double best_seconds() const;
  double mean_seconds() const;
  OpTotals calls_in_all() const;  // what was really done
};

double median(std::vector<double> values);  // 0 of none
std::string seconds_text(double seconds);   // "3.971 s", "44.512 ms"
double per_second(double amount, double seconds);

std::string measurement_table(const Measurement& measurement, double peak);  // lines, each ended

}  // namespace inkstone
