// EulerDiscreteScheduler and EulerAncestralDiscreteScheduler: samples of growing variance (x =
// image + sigma * noise), one Euler step of dx/dsigma = (x - image) / sigma, the ancestral one to a
// lower sigma with fresh noise on top (Karras et al. 2022; k-diffusion). Karras' sigmas with the
// ancestral step, which diffusers does not have, are k-diffusion's, at EulerDiscreteScheduler's
// timesteps for them.
#include <algorithm>
#include <cmath>

#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// What one call does: sample * x + output * m + noise * z.
struct EulerStep {
  double sample, output, noise;
};

// The model's input is x / sqrt(sigma^2 + 1), so its alpha is 1 / sqrt(sigma^2 + 1).
Estimate image_at(PredictionType prediction, double sigma) {
  const double alpha = 1 / std::sqrt(sigma * sigma + 1);
  const Estimate image = image_of(prediction, alpha, sigma * alpha);
  return {image.sample * alpha, image.output};
}

EulerStep euler_step(PredictionType prediction, double from, double to, double fresh) {
  const Estimate image = image_at(prediction, from);
  const double stride = (to - from) / from;
  return {1 + stride * (1 - image.sample), -stride * image.output, fresh};
}

class Euler : public Scheduler {
 public:
  Euler(const SchedulerConfig& config, int steps)
      : prediction_(config.prediction), ancestral_(config.kind == SchedulerKind::kEulerAncestral) {
    const auto table = train_sigmas(alphas_cumprod(config), config.rescale_betas_zero_snr);
    timesteps_ = to_floats(spaced_timesteps(config, steps, Points::kSteps, config.train_timesteps));
    std::vector<double> sigmas;
    if (config.log_linear && !ancestral_) {
      // One more than the calls, because the last step ends at the smallest sigma in training.
      const double high = std::log(table.back()), low = std::log(table.front());
      for (int i = 0; i <= steps; ++i) sigmas.push_back(std::exp(high + (low - high) * i / steps));
    } else {
      for (const float t : timesteps_) sigmas.push_back(sigma_at(t, table));
    }
    if (ancestral_ ? config.karras : respaced(config)) {
      sigmas = respaced_sigmas(config, sigmas.front(), sigmas.back(), steps);
      const auto log_table = logs(table);
      for (size_t i = 0; i < timesteps_.size(); ++i)
        timesteps_[i] = static_cast<float>(timestep_at(sigmas[i], log_table));
    }
    sigmas.push_back(config.final_sigma_min && !ancestral_ ? table.front() : 0);
    sigmas_ = to_floats(sigmas);
    if (config.continuous_timesteps && config.prediction == PredictionType::kVPrediction && !ancestral_) {
      for (size_t i = 0; i < timesteps_.size(); ++i) timesteps_[i] = 0.25f * std::log(sigmas_[i]);
    }
    const double greatest = std::ranges::max(sigmas_);
    const bool leading = config.spacing == TimestepSpacing::kLeading;
    init_noise_sigma_ = static_cast<float>(leading ? std::sqrt(greatest * greatest + 1) : greatest);
    for (size_t i = 0; i < timesteps_.size(); ++i) steps_.push_back(step_at(i));
  }

  float input_scale(int call) const override {
    const double sigma = sigmas_.at(static_cast<size_t>(call));
    return static_cast<float>(1 / std::sqrt(sigma * sigma + 1));
  }

  Estimate image_estimate(int call) const override {
    return image_at(prediction_, sigmas_.at(static_cast<size_t>(call)));
  }

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
    const double up = std::sqrt(std::max(0.0, to * to * (from * from - to * to) / (from * from)));
    return euler_step(prediction_, from, std::sqrt(to * to - up * up), up);
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
