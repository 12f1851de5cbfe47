#include "diffusion/unet_schedule.h"

#include <algorithm>

namespace inkstone {

StageShape step_shape(int jobs, const UnetEvaluation& evaluation, int width, int height) {
  StageShape shape{jobs, evaluation.cfg_copies, width, height, evaluation.part, evaluation.chunks};
  shape.residuals = evaluation.residuals;
  shape.features = evaluation.features;
  return shape;
}

std::vector<UnetEvaluation> unet_schedule(const ResolvedRequest& request, int evaluations, int chunks) {
  const auto [from, to] = request.guidance_interval;
  std::vector<UnetEvaluation> schedule;
  for (int call = 0; call < evaluations; ++call) {
    const float middle = (static_cast<float>(call) + 0.5f) / static_cast<float>(evaluations);
    const int cfg_copies = request.guided && middle >= from && middle <= to ? 2 : 1;
    const bool first_of_interval = (call - request.first_call) % request.cache_interval == 0;
    const bool whole = schedule.empty() || first_of_interval || cfg_copies > schedule.back().cfg_copies;
    const UnetPart first = request.cache_interval > 1 ? UnetPart::kFullKeepFeature : UnetPart::kFull;
    UnetEvaluation& one = schedule.emplace_back(UnetEvaluation{cfg_copies, whole ? first : UnetPart::kShallow, chunks});
    for (const ResolvedControl& control : request.controls) {
      if (!control.runs(call - request.first_call, evaluations - request.first_call)) continue;
      one.features = std::max(one.features, control.features);
      one.residuals = one.residuals || !control.features;
    }
  }
  return schedule;
}

}  // namespace inkstone
