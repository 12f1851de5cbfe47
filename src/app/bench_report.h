// What bench found, as JSON for machines and as a table for people.
#pragma once

#include <string>

#include "app/bench_stages.h"
#include "app/loading.h"

namespace inkstone {

JsonObject bench_json(const Loaded& loaded, const BenchResult& result);
std::string bench_table(const Loaded& loaded, const BenchResult& result);  // lines, each ended

}  // namespace inkstone
