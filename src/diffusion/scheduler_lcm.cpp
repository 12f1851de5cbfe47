// LCMScheduler (Luo et al. 2023): it uses a few timesteps of a distilled schedule. Each call
// estimates the image; all but the last add noise to it again.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

struct LcmStep {
  Estimate image;
  NoiseLevel level;
  double image_part, sample_part;  // shares in the denoised image
  // Shares of the denoised image and of fresh noise in the next sample.
  double keep, fresh_part;
};

class Lcm : public Scheduler {
 public:
  Lcm(const SchedulerConfig& config, int steps)
      : clip_(config.clip_sample ? config.clip_sample_range : std::numeric_limits<double>::infinity()) {
    timesteps_ = distilled_timesteps(config, steps);
    INKSTONE_CHECK(clip_ >= 0, "lcm: clip_sample_range is ", config.clip_sample_range, "; it must not be negative");
    INKSTONE_CHECK(std::isfinite(config.timestep_scaling), "lcm: timestep_scaling is ", config.timestep_scaling);
    const auto alphas = alphas_cumprod(config);
    for (size_t i = 0; i < timesteps_.size(); ++i) {
      const bool last = i + 1 == timesteps_.size();
      const double before = alphas[static_cast<size_t>(timesteps_[last ? i : i + 1])];
      steps_.push_back(
          step_between(config, timesteps_[i], alphas[static_cast<size_t>(timesteps_[i])], last ? 1 : before));
    }
  }

  bool needs_noise(int call) const override { return static_cast<size_t>(call) + 1 < steps_.size(); }

  Estimate image_estimate(int call) const override { return steps_.at(static_cast<size_t>(call)).image; }
  NoiseLevel noise_level(int call) const override { return steps_.at(static_cast<size_t>(call)).level; }

 protected:
  void advance(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState&) const override {
    const LcmStep& step = steps_[static_cast<size_t>(call)];
    const bool fresh = needs_noise(call);
    for (size_t i = 0; i < sample.size(); ++i) {
      const double x = sample[i];
      const double image = std::clamp(step.image.sample * x + step.image.output * model_output[i], -clip_, clip_);
      double next = step.keep * (step.image_part * image + step.sample_part * x);
      if (fresh) next += step.fresh_part * noise[i];
      sample[i] = static_cast<float>(next);
    }
  }

 private:
  static LcmStep step_between(const SchedulerConfig& config, double timestep, double now, double before) {
    INKSTONE_CHECK(
        now > 0 || config.prediction != PredictionType::kEpsilon,
        "lcm: rescale_betas_zero_snr leaves no image to find at the last timestep from an epsilon prediction; "
        "the model must predict v, or set rescale_betas_zero_snr to false");
    constexpr double kDataVariance = 0.25;
    const double scaled = timestep * config.timestep_scaling, sum = scaled * scaled + kDataVariance;
    return {image_of(config.prediction, std::sqrt(now), std::sqrt(1 - now)),
            {std::sqrt(now), std::sqrt(1 - now)},
            scaled / std::sqrt(sum),
            kDataVariance / sum,
            std::sqrt(before),
            std::sqrt(1 - before)};
  }

  double clip_;
  std::vector<LcmStep> steps_;
};

}  // namespace

std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config, int steps) {
  return std::make_unique<Lcm>(config, steps);
}

}  // namespace inkstone
