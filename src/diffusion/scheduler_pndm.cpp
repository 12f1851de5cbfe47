// PNDMScheduler (Liu et al. 2022): linear multistep over the last four model outputs (PLMS). It
// begins with one step taken twice (skip_prk_steps, as Stable Diffusion does: steps + 1 calls), or
// with three Runge-Kutta steps of four calls (steps + 9).
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// Outputs that are kept, in a ring. SchedulerState::order counts those that were added.
constexpr int kPast = 4;
// the sample that a repeated or Runge-Kutta step starts from
constexpr int kSaved = kPast;
constexpr int kSum = kPast + 1;  // of a Runge-Kutta step's outputs

class Pndm : public Scheduler {
 public:
  Pndm(const SchedulerConfig& config, int steps)
      : prediction_(config.prediction), ratio_(config.train_timesteps / steps), alphas_(alphas_cumprod(config)) {
    final_alpha_ = config.set_alpha_to_one ? 1 : alphas_[0];
    auto spaced = spaced_timesteps(config, steps, Points::kSteps, config.train_timesteps);
    round_all(spaced);
    if (config.skip_prk_steps) {
      timesteps_ = to_floats(spaced);
      if (steps > 1) timesteps_.insert(timesteps_.begin() + 1, timesteps_[1]);
      history_ = kPast + 1;
    } else {
      INKSTONE_CHECK_USAGE(steps >= 4, "pndm: ", steps,
                           " steps are fewer than the 4 that its Runge-Kutta start needs; ",
                           "ask for more, or set skip_prk_steps to true in scheduler_config.json");
      runge_kutta_calls_ = 12;
      for (int step = 0; step < 3; ++step) {
        const double now = spaced[step], next = spaced[step + 1];
        for (const double t : {now, next + ratio_ / 2, next + ratio_ / 2, next})
          timesteps_.push_back(static_cast<float>(t));
      }
      for (size_t i = 3; i < spaced.size(); ++i) timesteps_.push_back(static_cast<float>(spaced[i]));
      history_ = kPast + 2;
    }
    check_timesteps(config, timesteps_);
    if (config.skip_prk_steps && steps > 1)
      check_timesteps(config, std::array{timesteps_[1] + static_cast<float>(ratio_)});
  }

  Estimate image_estimate(int call) const override {
    const double a = alpha_at(timestep(call));
    return image_of(prediction_, std::sqrt(a), std::sqrt(1 - a));
  }

  NoiseLevel noise_level(int call) const override {
    const double a = alpha_at(timestep(call));
    return {std::sqrt(a), std::sqrt(1 - a)};
  }

 protected:
  void advance(int call, std::span<const float> model_output, std::span<const float>, std::span<float> sample,
               SchedulerState& state) const override {
    if (state.calls < runge_kutta_calls_) {
      runge_kutta(call, model_output, sample, state);
    } else {
      multistep(call, model_output, sample, state);
    }
  }

 private:
  void runge_kutta(int call, std::span<const float> model_output, std::span<float> sample,
                   SchedulerState& state) const {
    const int phase = state.calls % 4;
    const int from = timestep(state.calls / 4 * 4);
    const Estimate next = step_between(from, timestep(call) - (phase % 2 ? 0 : ratio_ / 2));
    auto& saved = state.history[kSaved];
    auto& sum = state.history[kSum];
    if (phase == 0) {
      std::ranges::copy(model_output, state.history[state.order++ % kPast].begin());
      std::ranges::copy(sample, saved.begin());
    }
    const double weight = phase == 0 || phase == 3 ? 1.0 / 6 : 1.0 / 3;
    for (size_t i = 0; i < sample.size(); ++i) {
      const double total = (phase == 0 ? 0 : sum[i]) + weight * model_output[i];
      sum[i] = static_cast<float>(total);
      sample[i] = static_cast<float>(next.sample * saved[i] + next.output * (phase == 3 ? total : model_output[i]));
    }
  }

  void multistep(int call, std::span<const float> model_output, std::span<float> sample, SchedulerState& state) const {
    // Adams-Bashforth weights, newest first, over 1 to 4 outputs.
    static constexpr double kWeights[4][4] = {{1, 0, 0, 0},
                                              {3. / 2, -1. / 2, 0, 0},
                                              {23. / 12, -16. / 12, 5. / 12, 0},
                                              {55. / 24, -59. / 24, 37. / 24, -9. / 24}};
    const int t = timestep(call);
    // The first step again, with the mean of both outputs. This output is not kept.
    const bool repeat = state.calls == 1;
    if (repeat) {
      const Estimate next = step_between(t + ratio_, t);
      const auto& saved = state.history[kSaved];
      const auto& first = state.history[0];
      for (size_t i = 0; i < sample.size(); ++i) {
        sample[i] = static_cast<float>(next.sample * saved[i] + next.output * (model_output[i] + double{first[i]}) / 2);
      }
      return;
    }
    if (state.calls == 0) std::ranges::copy(sample, state.history[kSaved].begin());
    const Estimate next = step_between(t, t - ratio_);
    const double* weights = kWeights[std::min(state.order, 3)];
    const auto& before1 = state.history[(state.order + 3) % kPast];
    const auto& before2 = state.history[(state.order + 2) % kPast];
    const auto& before3 = state.history[(state.order + 1) % kPast];
    auto& newest = state.history[state.order % kPast];
    for (size_t i = 0; i < sample.size(); ++i) {
      const double mixed =
          weights[0] * model_output[i] + weights[1] * before1[i] + weights[2] * before2[i] + weights[3] * before3[i];
      newest[i] = model_output[i];
      sample[i] = static_cast<float>(next.sample * sample[i] + next.output * mixed);
    }
    ++state.order;
  }

  int timestep(int call) const { return static_cast<int>(timesteps_[static_cast<size_t>(call)]); }
  double alpha_at(int t) const { return t >= 0 ? alphas_[static_cast<size_t>(t)] : final_alpha_; }

  // Formula 9 of the paper, in terms of the sample and the (mixed) model output.
  Estimate step_between(int t, int before) const {
    const double a = alpha_at(t), b = alpha_at(before);
    const double scale = (a - b) / (a * std::sqrt(1 - b) + std::sqrt(a * (1 - a) * b));
    const Estimate noise = noise_of(prediction_, std::sqrt(a), std::sqrt(1 - a));
    return {std::sqrt(b / a) + scale * noise.sample, scale * noise.output};
  }

  PredictionType prediction_;
  int ratio_;
  int runge_kutta_calls_ = 0;
  std::vector<float> alphas_;
  double final_alpha_ = 1;
};

}  // namespace

std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config, int steps) {
  return std::make_unique<Pndm>(config, steps);
}

}  // namespace inkstone
