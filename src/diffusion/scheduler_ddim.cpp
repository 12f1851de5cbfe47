// DDIMScheduler (Song et al. 2021, formula 12): it estimates the image, clips it if asked, and adds
// noise for the next level; eta adds fresh noise. TCDScheduler (Zheng et al. 2024, where eta is
// gamma) takes the timesteps of a distilled schedule; with eta it goes down further than the next
// one, and fresh noise brings it back.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

struct DdimStep {
  Estimate image, noise;
  NoiseLevel level;
  double image_part, noise_part, fresh_part;  // of the next sample
};

class Ddim : public Scheduler {
 public:
  Ddim(const SchedulerConfig& config, int steps)
      : fresh_(config.eta > 0),
        clip_(config.clip_sample ? config.clip_sample_range : std::numeric_limits<double>::infinity()) {
    const bool tcd = config.kind == SchedulerKind::kTcd;
    INKSTONE_CHECK_USAGE(config.eta >= 0 && config.eta <= 1, name_of(config.kind), ": eta is ", config.eta,
                         ", not between 0 and 1");
    INKSTONE_CHECK(clip_ >= 0, "ddim: clip_sample_range is ", config.clip_sample_range, "; it must not be negative");
    timesteps_ = tcd ? distilled_timesteps(config, steps) : even_timesteps(config, steps);
    const auto alphas = alphas_cumprod(config);
    for (size_t call = 0; call < timesteps_.size(); ++call)
      steps_.push_back(tcd ? tcd_step(config, alphas, call) : ddim_step(config, alphas, call, steps));
    noiseless_end_ = tcd;
  }

  bool needs_noise(int call) const override {
    return fresh_ && !(noiseless_end_ && static_cast<size_t>(call) + 1 == steps_.size());
  }

  Estimate image_estimate(int call) const override { return steps_.at(static_cast<size_t>(call)).image; }
  NoiseLevel noise_level(int call) const override { return steps_.at(static_cast<size_t>(call)).level; }

 protected:
  void advance(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState&) const override {
    const DdimStep& step = steps_[static_cast<size_t>(call)];
    const bool fresh = needs_noise(call);
    for (size_t i = 0; i < sample.size(); ++i) {
      const double x = sample[i], m = model_output[i];
      const double image = std::clamp(step.image.sample * x + step.image.output * m, -clip_, clip_);
      double next = step.image_part * image + step.noise_part * (step.noise.sample * x + step.noise.output * m);
      if (fresh) next += step.fresh_part * noise[i];
      sample[i] = static_cast<float>(next);
    }
  }

 private:
  static std::vector<float> even_timesteps(const SchedulerConfig& config, int steps) {
    auto timesteps = spaced_timesteps(config, steps, Points::kSteps, config.train_timesteps);
    round_all(timesteps);
    auto result = to_floats(timesteps);
    check_timesteps(config, result);
    return result;
  }

  // The estimates at a level; the step to the next one is left to the caller.
  static DdimStep step_from(const SchedulerConfig& config, double now) {
    INKSTONE_CHECK(now > 0 || config.prediction != PredictionType::kEpsilon, name_of(config.kind),
                   ": rescale_betas_zero_snr leaves no image to find at the last timestep from an epsilon prediction; "
                   "the model must predict v, or set rescale_betas_zero_snr to false");
    const double alpha = std::sqrt(now), sigma = std::sqrt(1 - now);
    return {
        image_of(config.prediction, alpha, sigma), noise_of(config.prediction, alpha, sigma), {alpha, sigma}, 0, 0, 0};
  }

  DdimStep ddim_step(const SchedulerConfig& config, std::span<const float> alphas, size_t call, int steps) const {
    const int timestep = static_cast<int>(timesteps_[call]), earlier = timestep - config.train_timesteps / steps;
    const double now = alphas[static_cast<size_t>(timestep)];
    const double last = config.set_alpha_to_one ? 1 : alphas[0];
    const double before = earlier >= 0 ? alphas[static_cast<size_t>(earlier)] : last;
    DdimStep step = step_from(config, now);
    const double variance = (1 - before) / (1 - now) * (1 - now / before);
    step.fresh_part = config.eta * std::sqrt(std::max(0.0, variance));
    step.image_part = std::sqrt(before);
    step.noise_part = std::sqrt(std::max(0.0, 1 - before - step.fresh_part * step.fresh_part));
    return step;
  }

  DdimStep tcd_step(const SchedulerConfig& config, std::span<const float> alphas, size_t call) const {
    const bool last = call + 1 == timesteps_.size();
    const float earlier = last ? 0 : timesteps_[call + 1];
    const auto low = static_cast<size_t>((1 - config.eta) * earlier);  // in float, as torch
    DdimStep step = step_from(config, alphas[static_cast<size_t>(timesteps_[call])]);
    const double reached = alphas[low], before = alphas[static_cast<size_t>(earlier)], ratio = before / reached;
    step.image_part = std::sqrt(before);
    step.noise_part = std::sqrt(ratio * (1 - reached));
    step.fresh_part = last ? 0 : std::sqrt(std::max(0.0, 1 - ratio));
    return step;
  }

  bool fresh_;
  bool noiseless_end_ = false;  // no noise is drawn for the last step
  double clip_;
  std::vector<DdimStep> steps_;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps) {
  return std::make_unique<Ddim>(config, steps);
}

}  // namespace inkstone
