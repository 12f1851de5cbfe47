// DPMSolverMultistepScheduler as dpmsolver++ and sde-dpmsolver++ (Lu et al. 2022): an exponential
// integrator in half the log of the signal-to-noise ratio, over the last one to three estimates of
// the image.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// The factors of one call for the sample, the images (newest first) and fresh noise.
struct DpmppMix {
  double sample = 0, images[3] = {0, 0, 0}, noise = 0;
};

class Dpmpp : public Scheduler {
 public:
  Dpmpp(const SchedulerConfig& config, int steps)
      : config_(config), stochastic_(config.kind == SchedulerKind::kDpmpp2MSde) {
    INKSTONE_CHECK(config.solver_order >= 1 && config.solver_order <= 3, name_of(config.kind), ": solver_order is ",
                   config.solver_order, ", not 1, 2 or 3");
    history_ = config.solver_order - 1;
    const auto alphas = alphas_cumprod(config);
    const auto table = train_sigmas(alphas, config.rescale_betas_zero_snr);
    const auto log_table = logs(table);
    // Keeps the timesteps whose half log-SNR, -ln sigma, is at least lambda_min_clipped.
    const int last =
        config.train_timesteps -
        static_cast<int>(std::ranges::count_if(log_table, [&](float ln) { return -ln < config.lambda_min_clipped; }));
    INKSTONE_CHECK(last >= 1, name_of(config.kind), ": lambda_min_clipped ", config.lambda_min_clipped,
                   " leaves no timestep");
    auto timesteps = spaced_timesteps(config, steps, Points::kStepsAndOne, last);
    std::vector<double> sigmas;
    if (respaced(config)) {
      sigmas = respaced_sigmas(config, table.back(), table.front(), steps);
      timesteps.clear();
      for (const double sigma : sigmas) timesteps.push_back(timestep_at(sigma, log_table));
      const bool lu = config.lu_lambdas && !config.karras;
      if ((config.karras || lu) && config.beta_schedule != BetaSchedule::kSquaredCosCap) round_all(timesteps);
    } else {
      round_all(timesteps);
      for (const double t : timesteps) sigmas.push_back(sigma_at(t, table));
    }
    for (double& t : timesteps) t = std::trunc(t);
    timesteps_ = to_floats(timesteps);
    sigmas.push_back(config.final_sigma_min ? table.front() : 0);
    sigmas_ = to_floats(sigmas);
    check_descending(config, sigmas_, timesteps_.size());
  }

  bool needs_noise(int) const override { return stochastic_; }

  Estimate image_estimate(int call) const override {
    const Level now(sigmas_.at(static_cast<size_t>(call)));
    return image_of(config_.prediction, now.alpha, now.sigma);
  }

 protected:
  void advance(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
               SchedulerState& state) const override {
    const Estimate estimate = image_estimate(call);
    const DpmppMix mix = mix_at(call, order_at(call, state.calls));
    // A ring of solver_order - 1 images; the newest takes the place of the oldest.
    const float* before1 = history_ > 0 ? state.history[(state.calls + history_ - 1) % history_].data() : nullptr;
    const float* before2 = history_ > 1 ? state.history[state.calls % history_].data() : nullptr;
    float* newest = history_ > 0 ? state.history[state.calls % history_].data() : nullptr;
    for (size_t i = 0; i < sample.size(); ++i) {
      const double image = estimate.sample * sample[i] + estimate.output * model_output[i];
      double next = mix.sample * sample[i] + mix.images[0] * image;
      if (before1) next += mix.images[1] * before1[i];
      if (before2) next += mix.images[2] * before2[i];
      if (stochastic_) next += mix.noise * noise[i];
      if (newest) newest[i] = static_cast<float>(image);
      sample[i] = static_cast<float>(next);
    }
  }

 private:
  int order_at(int call, int calls_before) const {
    const int calls = static_cast<int>(timesteps_.size());
    const bool lower = config_.lower_order_final && calls < 15;
    if (call == calls - 1 && (config_.euler_at_final || lower || !config_.final_sigma_min)) return 1;
    const int order = std::min(config_.solver_order, calls_before + 1);
    return call == calls - 2 && lower ? std::min(order, 2) : order;
  }

  DpmppMix mix_at(int call, int order) const {
    const Level now(sigmas_[call]), next(sigmas_[call + 1]);
    const double h = next.lambda - now.lambda;
    const double span = stochastic_ ? 2 * h : h;
    const double gain = -std::expm1(-span);  // 1 - e^-span
    DpmppMix mix;
    mix.sample = next.sigma / now.sigma * (stochastic_ ? std::exp(-h) : 1);
    mix.images[0] = next.alpha * gain;
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
      for (int i = 0; i < 2; ++i) mix.images[i] += part * d1[i];
      return mix;
    }
    const double h1 = Level(sigmas_[call - 1]).lambda - Level(sigmas_[call - 2]).lambda;
    const double r0 = h0 / h, r1 = h1 / h;
    const double bend[3] = {1 / r0, -1 / r0 - 1 / r1, 1 / r1};
    const double psi = (gain - span) / (span * span) + (stochastic_ ? -0.5 : 0.5);  // the signs are diffusers'
    for (int i = 0; i < 3; ++i) {
      d1[i] += r0 / (r0 + r1) * bend[i];
      d2[i] = bend[i] / (r0 + r1);
      mix.images[i] += next.alpha * phi * d1[i] + next.alpha * psi * d2[i];
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
