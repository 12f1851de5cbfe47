// What became of one request, and what all of them together say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "load/summary.h"

namespace inkstone {

enum class Fate {
  kOk,
  // 429 or 503: the server would rather not.
  kRejected,
  // Any other status, a broken connection, an answer without an image.
  kFailed,
  // Another image than the same request gave before.
  kWrong,
  kAborted,  // its sender went away, as planned
  kTimedOut,
  kNotSent  // too many were open
};
constexpr int kFates = 7;
std::string_view fate_name(Fate fate);

// Seconds; moments are from the start of the run.
struct Record {
  double intended = 0;
  double lag = 0;  // the sending, after the intended moment
  Fate fate = Fate::kOk;
  int status = 0;
  // Of a failure: "500", "connection refused", "nan_output".
  std::string detail;
  std::string size;  // "512x512"
  int images = 1;
  // From the intended moment to the end.
  double total = 0;
  std::optional<double> first_step{};  // likewise
  std::optional<double> slo{};

  bool within_slo() const { return fate == Fate::kOk && (!slo || total <= *slo); }
};

struct Figures {
  double seconds = 0;  // in which was sent
  int64_t count = 0, sent = 0, within_slo = 0, images = 0, fates[kFates] = {};
  double offered = 0, achieved = 0;  // requests a second: planned, sent
  // Ok answers a second, while was sent.
  double throughput = 0;
  // Of those that were sent, within their SLO, a second.
  double goodput = 0;
  // The part within its SLO of all but the aborted.
  double attainment = 0;
  Summary total, first_step, rejects, lag;
  std::vector<std::pair<std::string, int64_t>> rejected, failed;  // by status or reason
  std::vector<std::pair<std::string, Summary>> by_size;           // total of the ok
};

struct Second {                                                                      // of the run
  int64_t arrivals = 0, ok = 0, within_slo = 0, rejected = 0, failed = 0, open = 0;  // open: at its end
};

// Of the records that were intended at `from` or later, over the time until `until`.
Figures figures_of(const std::vector<Record>& records, double from, double until);
std::vector<Second> seconds_of(const std::vector<Record>& records);

JsonObject to_json(const Figures& figures);
JsonArray to_json(const std::vector<Second>& seconds);
std::string table_of(const Figures& figures);
std::string line_of(const Record& record);  // one JSON line

}  // namespace inkstone
