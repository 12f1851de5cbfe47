// DPMSolverMultistepScheduler as dpmsolver++ and sde-dpmsolver++ (Lu et al. 2022): an exponential
// integrator in half the log of the signal-to-noise ratio, over the last one to three estimates of
// the image. k-diffusion's sample_dpmpp_3m_sde is the same at third order, but for a sign, its
// timesteps, which are EulerDiscreteScheduler's, and its first noise.
#include <algorithm>
#include <cmath>

#include "diffusion/scheduler_multistep.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

class Dpmpp : public Multistep {
 public:
  Dpmpp(const SchedulerConfig& config, int steps)
      : Multistep(config.solver_order), config_(config), stochastic_(draws_noise(config.kind)) {
    sigmas_ = descending_levels(config, steps, timesteps_);
    if (config.kind == SchedulerKind::kDpmpp3MSde)
      init_noise_sigma_ = first_sigma(config, sigmas_) * scale_at(sigmas_.front());
  }

  bool needs_noise(int) const override { return stochastic_; }

  Estimate image_estimate(int call) const override {
    return image_of(config_.prediction, Level(sigmas_.at(static_cast<size_t>(call))));
  }

  NoiseLevel noise_level(int call) const override { return noise_level_of(sigmas_.at(static_cast<size_t>(call))); }

 protected:
  Estimate kept(int call) const override { return image_estimate(call); }

  MultistepMix mix(int call, int before) const override {
    const int order = solver_order_at(config_, call, before, sigmas_);
    const Level now(sigmas_[call]), next(sigmas_[call + 1]);
    const double h = next.lambda - now.lambda;
    const double span = stochastic_ ? 2 * h : h;
    const double gain = -std::expm1(-span);  // 1 - e^-span
    MultistepMix mix;
    mix.sample = next.sigma / now.sigma * (stochastic_ ? std::exp(-h) : 1);
    mix.kept[0] = next.alpha * gain;
    mix.noise = stochastic_ ? next.sigma * std::sqrt(gain) : 0;
    // A step of no length: the last one of Karras sigmas to sigma_min.
    if (order == 1 || h == 0) return mix;

    const double h0 = now.lambda - Level(sigmas_[call - 1]).lambda;
    // First and second divided differences of the images: D1 = d1 . images, D2 = d2 . images.
    const double slope = h / h0;
    double d1[3] = {slope, -slope, 0}, d2[3] = {0, 0, 0};
    const double phi = 1 - gain / span;
    if (order == 2) {
      const double part = next.alpha * (config_.heun ? phi : gain / 2);
      for (int i = 0; i < 2; ++i) mix.kept[i] += part * d1[i];
      return mix;
    }
    const double h1 = Level(sigmas_[call - 1]).lambda - Level(sigmas_[call - 2]).lambda;
    const double r0 = h0 / h, r1 = h1 / h;
    const double bend[3] = {1 / r0, -1 / r0 - 1 / r1, 1 / r1};
    // diffusers has another sign than k-diffusion where it draws noise.
    const bool lower = stochastic_ && config_.kind != SchedulerKind::kDpmpp3MSde;
    const double psi = (gain - span) / (span * span) + (lower ? -0.5 : 0.5);
    for (int i = 0; i < 3; ++i) {
      d1[i] += r0 / (r0 + r1) * bend[i];
      d2[i] = bend[i] / (r0 + r1);
      mix.kept[i] += next.alpha * phi * d1[i] + next.alpha * psi * d2[i];
    }
    return mix;
  }

  SchedulerConfig config_;
  bool stochastic_;
  std::vector<float> sigmas_;
};

}  // namespace

std::unique_ptr<Scheduler> make_dpmpp(const SchedulerConfig& config, int steps) {
  return std::make_unique<Dpmpp>(config, steps);
}

}  // namespace inkstone
