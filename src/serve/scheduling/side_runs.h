// Which encode or decode runs between two steps. While steps wait, each kind keeps within its share
// of the time: between two steps at most one decode, and one encode or as many as the share of one
// step affords. The two kinds take turns.
#pragma once

#include <optional>

#include "serve/scheduling/decision.h"
#include "serve/scheduling/time_share.h"

namespace inkstone::serve {

class SideRuns {
 public:
  SideRuns(double encode_share, double decode_share) : encode_share_(encode_share), decode_share_(decode_share) {}

  // kEncode or kDecode if one runs now, else kNothing. `encode_seconds` are those of the next
  // encode, nothing if none waits.
  Decision::Kind next(std::optional<double> encode_seconds, bool decode_waits, bool steps_wait);
  void ran(Decision::Kind kind, double seconds);  // a step too

 private:
  TimeShare encode_share_, decode_share_;
  // The decided encode or decode keeps steps waiting.
  bool contended_ = false;
  bool encode_ran_ = false, decode_ran_ = false;  // since the last step
  bool encode_ran_last_ = false;
};

}  // namespace inkstone::serve
