#include "serve/scheduling/side_runs.h"

namespace inkstone::serve {

namespace {

using Kind = Decision::Kind;

}  // namespace

Kind SideRuns::next(std::optional<double> encode_seconds, bool decode_waits, bool steps_wait) {
  contended_ = steps_wait;
  bool encode = encode_seconds.has_value(), decode = decode_waits;
  if (steps_wait) {
    const bool one_encode = !encode_ran_ && encode_share_.may();
    encode = encode && (one_encode || encode_share_.affords(*encode_seconds));
    decode = decode && !decode_ran_ && decode_share_.may();
  }
  if (!encode && !decode) return Kind::kNothing;
  encode_ran_last_ = encode && !(decode && encode_ran_last_);
  (encode_ran_last_ ? encode_ran_ : decode_ran_) = true;
  return encode_ran_last_ ? Kind::kEncode : Kind::kDecode;
}

void SideRuns::ran(Kind kind, double seconds) {
  if (kind == Kind::kStep) {
    encode_ran_ = decode_ran_ = false;
    encode_share_.others_took(seconds);
    decode_share_.others_took(seconds);
  }
  if (kind == Kind::kEncode && contended_) encode_share_.took(seconds);
  if (kind == Kind::kDecode && contended_) decode_share_.took(seconds);
}

}  // namespace inkstone::serve
