#include "load/record.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <map>

namespace inkstone {
namespace {

constexpr std::string_view kFateNames[kFates] = {"ok",      "rejected",  "failed",  "wrong",
                                                 "aborted", "timed_out", "not_sent"};

using Counts = std::map<std::string, int64_t>;
std::vector<std::pair<std::string, int64_t>> list_of(const Counts& counts) { return {counts.begin(), counts.end()}; }

JsonObject object_of(const std::vector<std::pair<std::string, int64_t>>& counts) {
  JsonObject object;
  for (const auto& [name, count] : counts) object[name] = count;
  return object;
}

}  // namespace

std::string_view fate_name(Fate fate) { return kFateNames[static_cast<int>(fate)]; }

Figures figures_of(const std::vector<Record>& records, double from, double until) {
  Figures f;
  f.seconds = std::max(until - from, 1e-9);
  std::vector<double> total, first_step, rejects, lag;
  std::map<std::string, std::vector<double>> by_size;
  Counts rejected, failed;
  int64_t ok_in_time = 0;
  for (const Record& r : records) {
    const double end = r.intended + r.total;
    if (r.fate == Fate::kOk && end >= from && end <= until) ++ok_in_time;
    if (r.intended < from) continue;
    ++f.count;
    ++f.fates[static_cast<int>(r.fate)];
    if (r.fate != Fate::kNotSent) {
      ++f.sent;
      lag.push_back(r.lag);
    }
    if (r.within_slo()) ++f.within_slo;
    if (r.first_step) first_step.push_back(*r.first_step);
    if (r.fate == Fate::kOk) {
      f.images += r.images;
      total.push_back(r.total);
      by_size[r.size].push_back(r.total);
    } else if (r.fate == Fate::kRejected) {
      ++rejected[std::to_string(r.status)];
      rejects.push_back(r.total);
    } else if (r.fate == Fate::kFailed) {
      ++failed[r.detail];
    }
  }
  f.offered = static_cast<double>(f.count) / f.seconds;
  f.achieved = static_cast<double>(f.sent) / f.seconds;
  f.throughput = static_cast<double>(ok_in_time) / f.seconds;
  f.goodput = static_cast<double>(f.within_slo) / f.seconds;
  const int64_t stayed = f.count - f.fates[static_cast<int>(Fate::kAborted)];
  f.attainment = stayed > 0 ? static_cast<double>(f.within_slo) / static_cast<double>(stayed) : 0;
  f.total = summarize(std::move(total));
  f.first_step = summarize(std::move(first_step));
  f.rejects = summarize(std::move(rejects));
  f.lag = summarize(std::move(lag));
  f.rejected = list_of(rejected);
  f.failed = list_of(failed);
  for (auto& [size, seconds] : by_size) f.by_size.emplace_back(size, summarize(std::move(seconds)));
  return f;
}

std::vector<Second> seconds_of(const std::vector<Record>& records) {
  double last = 0;
  for (const Record& r : records) last = std::max(last, r.intended + r.total);
  std::vector<Second> seconds(static_cast<size_t>(last) + 1);
  std::vector<int64_t> change(seconds.size() + 1);
  for (const Record& r : records) {
    const auto begin = static_cast<size_t>(r.intended), end = static_cast<size_t>(r.intended + r.total);
    ++seconds[begin].arrivals;
    Second& at_end = seconds[end];
    if (r.fate == Fate::kOk) ++at_end.ok;
    if (r.within_slo()) ++at_end.within_slo;
    if (r.fate == Fate::kRejected) ++at_end.rejected;
    if (r.fate == Fate::kFailed || r.fate == Fate::kWrong || r.fate == Fate::kTimedOut) ++at_end.failed;
    ++change[begin];
    --change[end];
  }
  int64_t open = 0;
  for (size_t i = 0; i < seconds.size(); ++i) seconds[i].open = open += change[i];
  return seconds;
}

JsonObject to_json(const Figures& f) {
  JsonObject object{{"seconds", f.seconds},
                    {"count", f.count},
                    {"offered_per_second", f.offered},
                    {"achieved_per_second", f.achieved},
                    {"throughput_per_second", f.throughput},
                    {"goodput_per_second", f.goodput},
                    {"slo_attainment", f.attainment},
                    {"within_slo", f.within_slo},
                    {"images", f.images}};
  for (int i = 0; i < kFates; ++i) object[kFateNames[i]] = f.fates[i];
  object["rejected_by_status"] = object_of(f.rejected);
  object["failed_by_reason"] = object_of(f.failed);
  object["latency_seconds"] = {{"total", to_json(f.total)},
                               {"first_step", to_json(f.first_step)},
                               {"reject", to_json(f.rejects)},
                               {"send_lag", to_json(f.lag)}};
  JsonObject by_size;
  for (const auto& [size, summary] : f.by_size) by_size[size] = to_json(summary);
  object["total_seconds_by_size"] = std::move(by_size);
  return object;
}

JsonArray to_json(const std::vector<Second>& seconds) {
  JsonArray array;
  for (const Second& s : seconds)
    array.push_back({{"arrivals", s.arrivals},
                     {"ok", s.ok},
                     {"within_slo", s.within_slo},
                     {"rejected", s.rejected},
                     {"failed", s.failed},
                     {"open", s.open}});
  return array;
}

std::string line_of(const Record& r) {
  JsonObject object{{"intended", r.intended}, {"lag", r.lag},       {"fate", fate_name(r.fate)},
                    {"status", r.status},     {"size", r.size},     {"images", r.images},
                    {"total", r.total},       {"detail", r.detail}, {"within_slo", r.within_slo()}};
  object["first_step"] = r.first_step ? Json(*r.first_step) : Json();
  object["slo"] = r.slo ? Json(*r.slo) : Json();
  return boost::json::serialize(object);
}

}  // namespace inkstone
