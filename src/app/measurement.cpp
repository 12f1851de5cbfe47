#include "app/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "app/byte_size.h"

namespace inkstone {
namespace {

std::string share_text(double flops, double seconds, double peak) {
  return peak > 0 && flops > 0 ? fmt::format("{:.1f} %", 100 * per_second(flops, seconds) / peak) : "";
}

std::string op_row(const OpTotals& op, double stage_seconds, double peak) {
  const std::string gflop = op.flops > 0 ? fmt::format("{:.2f}", op.flops / 1e9) : "",
                    rate = op.flops > 0 ? fmt::format("{:.1f}", per_second(op.flops, op.seconds) / 1e9) : "";
  const double part = stage_seconds > 0 ? 100 * op.seconds / stage_seconds : 0;
  return fmt::format("  {:<16}{:>7}{:>10.3f}{:>8.1f} %{:>12}{:>10}{:>10}{:>11.1f}{:>8.1f}\n", op.op, op.calls,
                     1e3 * op.seconds, part, gflop, rate, share_text(op.flops, op.seconds, peak), op.bytes / 1e6,
                     per_second(op.bytes, op.seconds) / 1e9);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string seconds_text(double seconds) {
  return seconds < 0.1 ? fmt::format("{:.3f} ms", 1e3 * seconds) : fmt::format("{:.3f} s", seconds);
}

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

std::vector<OpTotals> totals_by_op(std::span<const std::vector<CallProfile>> runs) {
  struct Runs {
    std::vector<double> calls, seconds, flops, bytes;  // of each run
  };
  std::map<std::string, Runs> by_op;
  for (size_t run = 0; run < runs.size(); ++run) {
    for (const CallProfile& call : runs[run]) {
      Runs& op = by_op[call.op];
      for (auto* values : {&op.calls, &op.seconds, &op.flops, &op.bytes}) values->resize(runs.size());
      op.calls[run] += 1;
      op.seconds[run] += call.seconds;
      op.flops[run] += call.flops;
      op.bytes[run] += call.bytes;
    }
  }
  std::vector<OpTotals> result;
  for (const auto& [name, op] : by_op)
    result.push_back(
        {name, static_cast<int>(median(op.calls)), median(op.seconds), median(op.flops), median(op.bytes)});
  std::erase_if(result, [](const OpTotals& op) { return op.calls == 0; });
  std::stable_sort(result.begin(), result.end(),
                   [](const OpTotals& a, const OpTotals& b) { return a.seconds > b.seconds; });
  return result;
}

double Measurement::seconds() const { return median(runs); }

double Measurement::best_seconds() const { return runs.empty() ? 0 : *std::min_element(runs.begin(), runs.end()); }

double Measurement::mean_seconds() const {
  return runs.empty() ? 0 : std::accumulate(runs.begin(), runs.end(), 0.0) / static_cast<double>(runs.size());
}

OpTotals Measurement::calls_in_all() const {
  OpTotals all{"in all"};
  for (const OpTotals& op : totals_by_op(profiles)) {
    all.calls += op.calls;
    all.seconds += op.seconds;
    all.flops += op.flops;
    all.bytes += op.bytes;
  }
  return all;
}

std::string measurement_table(const Measurement& measurement, double peak) {
  const double seconds = measurement.seconds(), best = measurement.best_seconds(), work = measurement.work;
  std::string text = fmt::format("{}: {} median of {}, least {}; {:.2f} GFLOP, {:.1f} GFLOP/s", measurement.stage,
                                 seconds_text(seconds), measurement.runs.size(), seconds_text(best), work / 1e9,
                                 per_second(work, seconds) / 1e9);
  if (peak > 0)
    text +=
        fmt::format(", {} of peak ({} at the least)", share_text(work, seconds, peak), share_text(work, best, peak));
  text += "\n";
  if (const std::vector<OpTotals> ops = totals_by_op(measurement.profiles); !ops.empty()) {
    text += fmt::format("  {:<16}{:>7}{:>10}{:>10}{:>12}{:>10}{:>10}{:>11}{:>8}\n", "op", "calls", "ms", "of time",
                        "GFLOP", "GFLOP/s", "of peak", "MB moved", "GB/s");
    for (const OpTotals& op : ops) text += op_row(op, seconds, peak);
    text += op_row(measurement.calls_in_all(), seconds, peak);
  }
  const MemoryPeaks& memory = measurement.memory;
  return text +
         fmt::format("  memory: {} resident at the peak, {} anonymous, {} of files; {} planned for its program\n",
                     byte_text(memory.resident), byte_text(memory.anonymous), byte_text(memory.file_backed),
                     byte_text(measurement.planned));
}

}  // namespace inkstone
