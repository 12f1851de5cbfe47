// A job as a batcher keeps it: how far it is, what it has had, and when its turn is.
#pragma once

#include <cstddef>

#include "serve/scheduling/batch_job.h"

namespace inkstone::serve {

// When a job's turn is, against other jobs of its size bucket.
struct Turn {
  // Its arrival, plus a head start for each class above its own. The jobs of a lane exchange these
  // (scheduling/client_shares.h).
  double rank;
  int place = 0;      // in its lane, from 0
  bool leads = true;  // it is its client's first in its lane
};

struct JobEntry {
  BatchJob job;
  size_t bucket;  // its number
  Turn turn;
  Phase phase = Phase::kEncode;
  bool fresh = true;     // has not stepped in its leg
  bool in_wave = false;  // with Batching::kOff and kStatic
  // Of the device, that it has had in this leg: of a step, its rows' part.
  double seconds = 0;
  double text_seconds = 0;  // of its encode; in `seconds` from its first step on
};

// Whether a goes first. No two jobs have the same turn.
inline bool goes_first(const JobEntry& a, const Turn& turn_a, const JobEntry& b, const Turn& turn_b) {
  if (turn_a.rank != turn_b.rank) return turn_a.rank < turn_b.rank;
  return turn_a.place != turn_b.place ? turn_a.place < turn_b.place : a.job.id < b.job.id;
}
inline bool ranks_before(const JobEntry& a, const JobEntry& b) { return goes_first(a, a.turn, b, b.turn); }

}  // namespace inkstone::serve
