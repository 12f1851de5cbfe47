// Tells whether images still come through. When none has ended for a while, the gateway runs a tiny
// one of its own. If its age passes the limit, something stands still: a worker, the batcher or the
// queue. Only a stopped event loop cannot tell.
#pragma once

#include <algorithm>
#include <optional>

#include "serve/jobs/settings.h"

namespace inkstone::serve {

struct Canary {
  const ServeSettings& settings;
  std::optional<JobId> job{};
  // The smallest size that the model takes; else one that the worker has measured.
  bool small = true;
  // When an image last ended, or workers came back.
  double passed = 0;
  double submitted = 0;  // the one that is under way
  // Seconds to its end, as predicted when it was submitted.
  double expected = 0;
  double cost = 0;  // seconds of the last one
  // No worker is ready; less than 0: one is.
  double away_since = -1;

  // Not more than a twentieth of the device's time.
  double interval() const { return std::max(settings.canary_seconds, 20 * std::min(cost, expected)); }
  bool due(double now) const { return !job && away_since < 0 && now - passed > interval(); }
  double age(double now) const { return now - std::max(passed, away_since); }
  // Of the command that runs, at most; of a worker's start, where there is none.
  double limit(double command_limit, double start_limit) const {
    if (away_since >= 0) return start_limit;
    return interval() + 2 * settings.watchdog_min + settings.watchdog_factor * expected + command_limit;
  }
};

}  // namespace inkstone::serve
