// EulerDiscreteScheduler and EulerAncestralDiscreteScheduler: samples of growing variance (x =
// image + sigma * noise), one Euler step of dx/dsigma = (x - image) / sigma, the ancestral one to a
// lower sigma with fresh noise on top (Karras et al. 2022; k-diffusion). The ancestral step on
// respaced sigmas, which diffusers does not have, is k-diffusion's, at EulerDiscreteScheduler's
// sigmas and timesteps.
#include <cmath>
#include <utility>

#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// What one call does: sample * x + output * m + noise * z.
struct EulerStep {
  double sample, output, noise;
};

EulerStep euler_step(PredictionType prediction, double from, double to, double fresh) {
  const Estimate image = image_at(prediction, from);
  const double stride = (to - from) / from;
  return {1 + stride * (1 - image.sample), -stride * image.output, fresh};
}

class Euler : public Scheduler {
 public:
  Euler(const SchedulerConfig& config, int steps)
      : prediction_(config.prediction), ancestral_(config.kind == SchedulerKind::kEulerAncestral) {
    NoiseLevels levels = noise_levels(config, steps);
    timesteps_ = std::move(levels.timesteps);
    sigmas_ = std::move(levels.sigmas);
    if (config.continuous_timesteps && config.prediction == PredictionType::kVPrediction && !ancestral_) {
      for (size_t i = 0; i < timesteps_.size(); ++i) timesteps_[i] = 0.25f * std::log(sigmas_[i]);
    }
    init_noise_sigma_ = first_sigma(config, sigmas_);
    for (size_t i = 0; i < timesteps_.size(); ++i) steps_.push_back(step_at(i));
  }

  float input_scale(int call) const override { return scale_at(sigmas_.at(static_cast<size_t>(call))); }

  Estimate image_estimate(int call) const override {
    return image_at(prediction_, sigmas_.at(static_cast<size_t>(call)));
  }

  NoiseLevel noise_level(int call) const override { return {1, sigmas_.at(static_cast<size_t>(call))}; }

  // Also for the last ancestral step, whose noise has no effect, because torch draws it.
  bool needs_noise(int) const override { return ancestral_; }

 protected:
  void advance(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState&) const override {
    const EulerStep step = steps_[static_cast<size_t>(call)];
    for (size_t i = 0; i < sample.size(); ++i) {
      double next = step.sample * sample[i] + step.output * model_output[i];
      if (ancestral_) next += step.noise * noise[i];
      sample[i] = static_cast<float>(next);
    }
  }

 private:
  EulerStep step_at(size_t call) const {
    const double from = sigmas_[call], to = sigmas_[call + 1];
    if (!ancestral_) return euler_step(prediction_, from, to, 0);
    const Ancestral split = ancestral(from, to);
    return euler_step(prediction_, from, split.down, split.up);
  }

  PredictionType prediction_;
  bool ancestral_;
  std::vector<float> sigmas_;
  std::vector<EulerStep> steps_;
};

}  // namespace

std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config, int steps) {
  return std::make_unique<Euler>(config, steps);
}

}  // namespace inkstone
