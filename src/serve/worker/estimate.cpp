#include "serve/worker/estimate.h"

#include <algorithm>

#include "diffusion/work_estimate.h"

namespace inkstone::serve {

double estimated_speed(Engine& engine) {
  constexpr double kUnknown = 6e12;  // of a card that tells none
  const double told = usual_speed(engine.backend(), engine.precision());
  return told > 0 ? told : kUnknown;
}

ShapeTimes estimate(const Pipeline& model, double speed) {
  const ModelTraits& traits = model.traits;
  const WorkEstimate work = work_of_image(model, traits.width, traits.height);
  const auto seconds = [&](double operations) { return std::max(operations / speed, 1e-4); };
  return {traits.width, traits.height, {{1, seconds(work.row)}}, seconds(work.encode), seconds(work.decode), true};
}

}  // namespace inkstone::serve
