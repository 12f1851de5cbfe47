// A Chrome trace (chrome://tracing, ui.perfetto.dev): complete events in microseconds, one track for stages and one for calls.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/measurement.h"
#include "backend/backend.h"
#include "base/json_fwd.h"

namespace inkstone {

double steady_seconds();  // the clock of CallProfile::begin, now

class Trace {
 public:
  explicit Trace(double origin);  // steady_seconds() of its first moment
  ~Trace();

  // `peaks`: of its memory, where they are known.
  void stage(const std::string& name, double begin, double seconds, const MemoryPeaks* peaks = nullptr);
  void calls(std::span<const CallProfile> calls);
  std::string text() const;  // the whole file; each track in the order of time

 private:
  struct Event;
  void add(int track, const std::string& name, double begin, double seconds, JsonObject facts);

  double origin_;
  std::vector<Event> events_;
};

}  // namespace inkstone
