#include "diffusion/unet_schedule.h"

namespace inkstone {

std::vector<UnetEvaluation> unet_schedule(const ResolvedRequest& request, int evaluations, int chunks) {
  const auto [from, to] = request.guidance_interval;
  std::vector<UnetEvaluation> schedule;
  for (int call = 0; call < evaluations; ++call) {
    const float middle = (static_cast<float>(call) + 0.5f) / static_cast<float>(evaluations);
    const int cfg_copies = request.guided && middle >= from && middle <= to ? 2 : 1;
    const bool first_of_interval = (call - request.first_call) % request.cache_interval == 0;
    const bool whole = schedule.empty() || first_of_interval || cfg_copies > schedule.back().cfg_copies;
    const UnetPart first = request.cache_interval > 1 ? UnetPart::kFullKeepFeature : UnetPart::kFull;
    schedule.push_back({cfg_copies, whole ? first : UnetPart::kShallow, chunks});
  }
  return schedule;
}

}  // namespace inkstone
