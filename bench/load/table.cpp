// The figures for people.
#include <cstdio>

#include "load/record.h"

namespace inkstone {
namespace {

template <typename... Values>
std::string line(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string row(const char* name, const Summary& s) {
  if (s.count == 0) return "";
  return line("  %-26s %8zu %9.4f %9.4f %9.4f %9.4f %9.4f\n", name, s.count, s.mean, s.p50, s.p90, s.p99, s.max);
}

}  // namespace

std::string table_of(const Figures& f) {
  std::string text;
  text += line("requests      %lld in %.1f s: offered %.3f/s, achieved %.3f/s\n", static_cast<long long>(f.count),
               f.seconds, f.offered, f.achieved);
  for (int i = 0; i < kFates; ++i)
    if (f.fates[i] > 0 || i == 0)
      text += line("  %-11s %lld\n", std::string(fate_name(static_cast<Fate>(i))).c_str(),
                   static_cast<long long>(f.fates[i]));
  for (const auto& [status, count] : f.rejected)
    text += line("  rejected with %s: %lld\n", status.c_str(), static_cast<long long>(count));
  for (const auto& [reason, count] : f.failed)
    text += line("  failed: %lld of \"%.100s\"\n", static_cast<long long>(count), reason.c_str());
  text += line("throughput    %.3f/s answered while sending\n", f.throughput);
  text +=
      line("goodput       %.3f/s within their SLO: %.1f %% of all but the aborted\n", f.goodput, 100 * f.attainment);
  text += line("seconds from the intended moment%4s %9s %9s %9s %9s %9s\n", "of", "mean", "p50", "p90", "p99", "max");
  text += row("to the first step", f.first_step) + row("to the image", f.total) + row("to a refusal", f.rejects) +
          row("until sent", f.lag);
  if (f.by_size.size() > 1)
    for (const auto& [size, summary] : f.by_size) text += row(("  image of " + size).c_str(), summary);
  return text;
}

}  // namespace inkstone
