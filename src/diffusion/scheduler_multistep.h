// Schedulers that keep a value of each call (an estimate of the image, of the noise, or a
// derivative), and mix the sample with the newest few.
#pragma once

#include <array>

#include "diffusion/scheduler.h"

namespace inkstone {

inline constexpr int kMaxKept = 4;

// The factors of one call for the sample, the kept values (newest first) and fresh noise.
struct MultistepMix {
  double sample = 0;
  std::array<double, kMaxKept> kept{};
  double noise = 0;
};

class Multistep : public Scheduler {
 protected:
  // `order` values are mixed at most.
  explicit Multistep(int order) { history_ = order - 1; }

  // What a call keeps, of its sample and the model's output.
  virtual Estimate kept(int call) const = 0;
  // After `before` calls.
  virtual MultistepMix mix(int call, int before) const = 0;

  void advance(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState& state) const override;
};

// Of DPM++ and DEIS, which lower it at the end of a short schedule.
int solver_order_at(const SchedulerConfig& config, int call, int before, std::span<const float> sigmas);

}  // namespace inkstone
