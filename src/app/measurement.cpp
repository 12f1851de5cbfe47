#include "app/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "app/progress.h"

namespace inkstone {
namespace {

double rate(double flops, double seconds) { return seconds > 0 ? flops / seconds : 0; }

JsonObject work_json(double seconds, double flops, double peak) {
  return {{"seconds", seconds},
          {"flops", flops},
          {"gflops_per_second", rate(flops, seconds) / 1e9},
          {"fraction_of_peak", peak > 0 ? Json(rate(flops, seconds) / peak) : Json()}};
}

std::string work_row(const std::string& name, int calls, double seconds, double flops, double peak) {
  const std::string count = calls ? std::to_string(calls) : "";
  const std::string share = peak > 0 ? fmt::format("{:.1f} %", 100 * rate(flops, seconds) / peak) : "";
  return fmt::format("  {:<18}{:>7}{:>12.4f}{:>12.2f}{:>12.1f}{:>10}\n", name, count, seconds, flops / 1e9,
                     rate(flops, seconds) / 1e9, share);
}

}  // namespace

double Measurement::seconds() const {
  return runs.empty() ? 0 : std::accumulate(runs.begin(), runs.end(), 0.0) / static_cast<double>(runs.size());
}

double Measurement::best_seconds() const { return runs.empty() ? 0 : *std::min_element(runs.begin(), runs.end()); }

double Measurement::flops() const {
  return std::accumulate(ops.begin(), ops.end(), 0.0, [](double sum, const OpTotals& op) { return sum + op.flops; });
}

std::vector<OpTotals> totals_by_op(std::span<const CallProfile> profile, int runs) {
  std::map<std::string, OpTotals> by_op;
  for (const CallProfile& call : profile) {
    OpTotals& totals = by_op[call.op];
    totals.op = call.op;
    ++totals.calls;
    totals.seconds += call.seconds;
    totals.flops += call.flops;
  }
  std::vector<OpTotals> result;
  for (auto& [name, totals] : by_op) {
    totals.calls /= std::max(runs, 1);
    totals.seconds /= std::max(runs, 1);
    totals.flops /= std::max(runs, 1);
    result.push_back(totals);
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const OpTotals& a, const OpTotals& b) { return a.seconds > b.seconds; });
  return result;
}

JsonObject measurement_json(const Measurement& measurement, double peak) {
  JsonObject result = work_json(measurement.seconds(), measurement.flops(), peak);
  result["best_seconds"] = measurement.best_seconds();
  result["runs"] = measurement.runs.size();
  JsonArray ops;
  for (const OpTotals& op : measurement.ops) {
    JsonObject entry = work_json(op.seconds, op.flops, peak);
    entry["op"] = op.op;
    entry["calls"] = op.calls;
    ops.push_back(std::move(entry));
  }
  result["ops"] = std::move(ops);
  return result;
}

std::string measurement_table(const Measurement& measurement, double peak) {
  std::string text =
      fmt::format("{}: {} on average of {}, best {}\n", measurement.stage, duration_text(measurement.seconds()),
                  measurement.runs.size(), duration_text(measurement.best_seconds()));
  text +=
      fmt::format("  {:<18}{:>7}{:>12}{:>12}{:>12}{:>10}\n", "op", "calls", "seconds", "GFLOP", "GFLOP/s", "of peak");
  for (const OpTotals& op : measurement.ops) text += work_row(op.op, op.calls, op.seconds, op.flops, peak);
  return text + work_row("in all", 0, measurement.seconds(), measurement.flops(), peak);
}

}  // namespace inkstone
