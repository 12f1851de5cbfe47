// What bench found, as JSON for machines and as a table for people.
#pragma once

#include <string>

#include "app/bench_stages.h"
#include "app/loading.h"
#include "base/json_fwd.h"

namespace inkstone {

// FLOPs over seconds and over the peak, with their keys; peak 0: not known, and the share is null.
JsonObject work_json(double seconds, double flops, double peak);
JsonObject peaks_json(const MemoryPeaks& peaks);

JsonObject measurement_json(const Measurement& measurement, double peak);

JsonObject bench_json(const Loaded& loaded, const BenchResult& result);
std::string bench_table(const Loaded& loaded, const BenchResult& result);  // lines, each ended

}  // namespace inkstone
