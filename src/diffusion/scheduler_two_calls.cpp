// Schedulers that evaluate the model twice a step: HeunDiscreteScheduler, KDPM2DiscreteScheduler,
// KDPM2AncestralDiscreteScheduler, DPMSolverSDEScheduler (with plain noise for each call instead of
// a Brownian tree), and k-diffusion's sample_dpmpp_2s_ancestral (Karras et al. 2022; Lu et al. 2022)
// at EulerDiscreteScheduler's sigmas. Samples are image + sigma * noise. A step that ends at sigma
// zero is one Euler step.
#include <algorithm>
#include <cmath>

#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// A call's share in the next sample of its own sample, image and fresh noise, and of the sample and
// image of the step's first call.
struct CallMix {
  double sample = 0, image = 0, noise = 0, first_sample = 0, first_image = 0;
};

struct Call {
  double sigma;
  bool first, draws;
  CallMix mix;
};

// Euler's step: along the line from the sample to the image.
CallMix straight(double from, double to) { return {.sample = to / from, .image = 1 - to / from}; }

// As KDPM2AncestralDiscreteScheduler computes it: `down` is small where it loses digits, and one
// call lies between it and `sigma`.
Ancestral ancestral_in_float(float sigma, float next) {
  const float up = std::sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
  return {std::sqrt(std::max(0.0f, next * next - up * up)), up};
}

class TwoCalls : public Scheduler {
 public:
  TwoCalls(const SchedulerConfig& config, int steps)
      : kind_(config.kind),
        prediction_(config.prediction),
        clip_(config.clip_sample ? config.clip_sample_range : std::numeric_limits<double>::infinity()) {
    history_ = 2;
    const NoiseLevels levels = noise_levels(config, steps);
    init_noise_sigma_ = first_sigma(config, levels.sigmas);
    for (size_t i = 0; i < levels.timesteps.size(); ++i) {
      const double from = levels.sigmas[i], to = levels.sigmas[i + 1];
      if (to == 0) {
        add(levels.timesteps[i], {from, true, false, straight(from, 0)});
        continue;
      }
      add_step(from, to);
      const bool on_level = kind_ == SchedulerKind::kHeun && i + 1 < levels.timesteps.size();
      const float second =
          on_level ? levels.timesteps[i + 1]
                   : static_cast<float>(timestep_at(static_cast<float>(calls_.back().sigma), levels.log_sigmas));
      timesteps_.insert(timesteps_.end(), {levels.timesteps[i], second});
    }
  }

  float input_scale(int call) const override { return scale_at(calls_.at(static_cast<size_t>(call)).sigma); }
  bool needs_noise(int call) const override { return calls_.at(static_cast<size_t>(call)).draws; }
  Estimate image_estimate(int call) const override {
    return image_at(prediction_, calls_.at(static_cast<size_t>(call)).sigma);
  }
  NoiseLevel noise_level(int call) const override { return {1, calls_.at(static_cast<size_t>(call)).sigma}; }

 protected:
  void advance(int at, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState& state) const override {
    const Call& call = calls_[static_cast<size_t>(at)];
    const CallMix& mix = call.mix;
    const Estimate estimate = image_estimate(at);
    auto& first_sample = state.history[0];
    auto& first_image = state.history[1];
    for (size_t i = 0; i < sample.size(); ++i) {
      const double image = std::clamp(estimate.sample * sample[i] + estimate.output * model_output[i], -clip_, clip_);
      double next = mix.sample * sample[i] + mix.image * image;
      if (call.draws) next += mix.noise * noise[i];
      if (call.first) {
        first_sample[i] = sample[i];
        first_image[i] = static_cast<float>(image);
      } else {
        next += mix.first_sample * first_sample[i] + mix.first_image * first_image[i];
      }
      sample[i] = static_cast<float>(next);
    }
  }

 private:
  void add(float timestep, const Call& call) {
    timesteps_.push_back(timestep);
    calls_.push_back(call);
  }

  // The two calls of a step between sigmas above zero.
  void add_step(double from, double to) {
    const bool splits = draws_noise(kind_);
    Ancestral end = splits ? ancestral(from, to) : Ancestral{to, 0};
    if (kind_ == SchedulerKind::kDpm2Ancestral)
      end = ancestral_in_float(static_cast<float>(from), static_cast<float>(to));
    const double middle = std::sqrt(from * (kind_ == SchedulerKind::kDpmppSde ? to : end.down));
    Call first{from, true, false, straight(from, middle)};
    Call second{middle, false, splits, {}};
    switch (kind_) {
      case SchedulerKind::kHeun: {
        first.mix = straight(from, to);
        second.sigma = to;
        const double half = (to - from) / 2;
        second.mix = {half / to, -half / to, 0, 1 + half / from, -half / from};
        break;
      }
      case SchedulerKind::kDpm2:
      case SchedulerKind::kDpm2Ancestral: {
        const double slope = (end.down - from) / middle;
        second.mix = {.sample = slope, .image = -slope, .first_sample = 1};
        break;
      }
      default:
        second.mix = {.image = 1 - end.down / from, .first_sample = end.down / from};
        if (kind_ != SchedulerKind::kDpmppSde) break;
        const Ancestral half = ancestral(from, middle);
        first.draws = true;
        first.mix = straight(from, half.down);
        first.mix.noise = half.up;
        break;
    }
    second.mix.noise = end.up;
    calls_.insert(calls_.end(), {first, second});
  }

  SchedulerKind kind_;
  PredictionType prediction_;
  double clip_;
  std::vector<Call> calls_;
};

}  // namespace

std::unique_ptr<Scheduler> make_two_calls(const SchedulerConfig& config, int steps) {
  return std::make_unique<TwoCalls>(config, steps);
}

}  // namespace inkstone
