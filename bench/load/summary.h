// What is said of many measurements.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/json.h"

namespace inkstone {

// The smallest value that is not below the given part of all: nearest rank, no values in between.
// `sorted` is not empty, 0 <= fraction <= 1.
double percentile(std::span<const double> sorted, double fraction);

struct Summary {  // zeros where nothing was measured
  size_t count = 0;
  double mean = 0, p50 = 0, p90 = 0, p99 = 0, max = 0;
};
Summary summarize(std::vector<double> values);
JsonObject to_json(const Summary& summary);

}  // namespace inkstone
