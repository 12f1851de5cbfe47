#include "diffusion/scheduler_multistep.h"

#include <algorithm>

namespace inkstone {

void Multistep::advance(int call, std::span<const float> model_output, std::span<const float> noise,
                        std::span<float> sample, SchedulerState& state) const {
  const Estimate estimate = kept(call);
  const MultistepMix factors = mix(call, state.calls);
  const bool fresh = needs_noise(call);
  // A ring, whose oldest value gives its place to the newest.
  std::array<float*, kMaxKept> past{};
  for (int i = 0; i < history_; ++i) past[i] = state.history[(state.calls + history_ - 1 - i) % history_].data();
  for (size_t i = 0; i < sample.size(); ++i) {
    const double now = estimate.sample * sample[i] + estimate.output * model_output[i];
    double next = factors.sample * sample[i] + factors.kept[0] * now;
    for (int k = 0; k < history_; ++k) next += factors.kept[k + 1] * past[k][i];
    if (fresh) next += factors.noise * noise[i];
    if (history_ > 0) past[history_ - 1][i] = static_cast<float>(now);
    sample[i] = static_cast<float>(next);
  }
}

int solver_order_at(const SchedulerConfig& config, int call, int before, std::span<const float> sigmas) {
  const int calls = static_cast<int>(sigmas.size()) - 1;
  const bool lower = config.lower_order_final && calls < 15;
  if (call == calls - 1 && (config.euler_at_final || lower || sigmas.back() == 0)) return 1;
  const int order = std::min(config.solver_order, before + 1);
  return call == calls - 2 && lower ? std::min(order, 2) : order;
}

}  // namespace inkstone
