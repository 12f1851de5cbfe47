#include "serve/jobs/order.h"

namespace inkstone::serve {

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::kQueued: return "queued";
    case Stage::kEncode: return "encode";
    case Stage::kDenoise: return "denoise";
    case Stage::kDecode: return "decode";
    case Stage::kDone: return "done";
    case Stage::kFailed: return "failed";
    case Stage::kCancelled: return "cancelled";
  }
  return "";
}

}  // namespace inkstone::serve
