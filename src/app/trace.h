// A Chrome trace (chrome://tracing, ui.perfetto.dev): complete events in microseconds, one track for stages and one for calls.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/json.h"

namespace inkstone {

double steady_seconds();  // the clock of CallProfile::begin, now

class Trace {
 public:
  explicit Trace(double origin) : origin_(origin) {}  // steady_seconds() of its first moment

  void stage(const std::string& name, double begin, double seconds, JsonObject facts = {});
  void calls(std::span<const CallProfile> calls);
  std::string text() const;  // the whole file; each track in the order of time

 private:
  struct Event {
    int track;
    double begin;
    JsonObject object;
  };
  void add(int track, const std::string& name, double begin, double seconds, JsonObject facts);

  double origin_;
  std::vector<Event> events_;
};

}  // namespace inkstone
