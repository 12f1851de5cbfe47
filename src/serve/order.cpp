#include "serve/order.h"

namespace inkstone {

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::kQueued: return "queued";
    case Stage::kText: return "text";
    case Stage::kSteps: return "steps";
    case Stage::kPixels: return "pixels";
    case Stage::kDone: return "done";
    case Stage::kFailed: return "failed";
    case Stage::kCancelled: return "cancelled";
  }
  return "";
}

}  // namespace inkstone
