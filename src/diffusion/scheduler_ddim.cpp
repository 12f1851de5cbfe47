// DDIMScheduler (Song et al. 2021, formula 12): it estimates the image, clips it if asked, and adds
// noise for the next level; eta adds fresh noise.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

struct DdimStep {
  Estimate image, noise;
  double image_part, noise_part, fresh_part;  // of the next sample
};

class Ddim : public Scheduler {
 public:
  Ddim(const SchedulerConfig& config, int steps)
      : fresh_(config.eta > 0),
        clip_(config.clip_sample ? config.clip_sample_range : std::numeric_limits<double>::infinity()) {
    INKSTONE_CHECK_USAGE(config.eta >= 0 && config.eta <= 1, "ddim: eta is ", config.eta, ", not between 0 and 1");
    INKSTONE_CHECK(clip_ >= 0, "ddim: clip_sample_range is ", config.clip_sample_range, "; it must not be negative");
    auto timesteps = spaced_timesteps(config, steps, Points::kSteps, config.train_timesteps);
    round_all(timesteps);
    timesteps_ = to_floats(timesteps);
    check_timesteps(config, timesteps_);
    const auto alphas = alphas_cumprod(config);
    const double last = config.set_alpha_to_one ? 1 : alphas[0];
    for (const float t : timesteps_) {
      const int now = static_cast<int>(t), before = now - config.train_timesteps / steps;
      steps_.push_back(step_between(config, alphas[now], before >= 0 ? alphas[before] : last));
    }
  }

  bool needs_noise(int) const override { return fresh_; }

  Estimate image_estimate(int call) const override { return steps_.at(static_cast<size_t>(call)).image; }

 protected:
  void advance(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState&) const override {
    const DdimStep& step = steps_[static_cast<size_t>(call)];
    for (size_t i = 0; i < sample.size(); ++i) {
      const double x = sample[i], m = model_output[i];
      const double image = std::clamp(step.image.sample * x + step.image.output * m, -clip_, clip_);
      double next = step.image_part * image + step.noise_part * (step.noise.sample * x + step.noise.output * m);
      if (fresh_) next += step.fresh_part * noise[i];
      sample[i] = static_cast<float>(next);
    }
  }

 private:
  static DdimStep step_between(const SchedulerConfig& config, double now, double before) {
    INKSTONE_CHECK(
        now > 0 || config.prediction != PredictionType::kEpsilon,
        "ddim: rescale_betas_zero_snr leaves no image to find at the last timestep from an epsilon prediction; "
        "the model must predict v, or set rescale_betas_zero_snr to false");
    const double alpha = std::sqrt(now), sigma = std::sqrt(1 - now);
    const double variance = (1 - before) / (1 - now) * (1 - now / before);
    const double fresh = config.eta * std::sqrt(std::max(0.0, variance));
    return {image_of(config.prediction, alpha, sigma), noise_of(config.prediction, alpha, sigma), std::sqrt(before),
            std::sqrt(std::max(0.0, 1 - before - fresh * fresh)), fresh};
  }

  bool fresh_;
  double clip_;
  std::vector<DdimStep> steps_;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps) {
  return std::make_unique<Ddim>(config, steps);
}

}  // namespace inkstone
