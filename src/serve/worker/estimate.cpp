#include "serve/worker/estimate.h"

#include <algorithm>

#include "diffusion/work_estimate.h"

namespace inkstone::serve {

ShapeTimes estimate(Engine& engine, Precision precision) {
  constexpr double kUsualPart = 0.6, kUnknownPeak = 1e13;  // of the peak; of a card that tells none
  constexpr int kTries = 2;
  const double probed = engine.backend().peak_flops(precision == Precision::kBf16 ? DType::kBF16 : DType::kF32, kTries);
  const double speed = kUsualPart * (probed > 0 ? probed : kUnknownPeak);
  const ModelTraits& traits = engine.pipeline().traits;
  const WorkEstimate work = work_of_image(engine.pipeline(), traits.width, traits.height);
  const auto seconds = [&](double operations) { return std::max(operations / speed, 1e-4); };
  return {traits.width, traits.height, {{1, seconds(work.row)}}, seconds(work.encode), seconds(work.decode), true};
}

}  // namespace inkstone::serve
