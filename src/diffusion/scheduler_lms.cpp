// LMSDiscreteScheduler (k-diffusion's sample_lms) and DEISMultistepScheduler (Zhang & Chen 2023, in
// log rho): both carry the sample on by the integral of the polynomial through their last few
// values, LMS of derivatives in sigma, DEIS of noise in ln sigma.
#include <cmath>

#include "diffusion/scheduler_multistep.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// Points of an interpolation, newest first: the sigmas of a call and of those before it.
using Nodes = std::array<double, kMaxKept>;

// The integral over sigma of the basis polynomial that is 1 at node `at` and 0 at the other
// `order` - 1. Gauss' rule with two points is exact up to the third degree.
double lms_weight(const Nodes& nodes, int order, int at, double next) {
  const double middle = (next + nodes[0]) / 2, half = (next - nodes[0]) / 2;
  double sum = 0;
  for (const double sign : {-1.0, 1.0}) {
    const double point = middle + sign * half / std::sqrt(3.0);
    double product = 1;
    for (int k = 0; k < order; ++k)
      if (k != at) product *= (point - nodes[k]) / (nodes[at] - nodes[k]);
    sum += product;
  }
  return half * sum;
}

// The same of polynomials p in u = ln sigma, up to the second degree: e^u (p - p' + p'') has the
// derivative e^u p.
double deis_weight(const Nodes& logs, int order, int at, double next) {
  double roots[2] = {0, 0}, scale = 1;
  int count = 0;
  for (int k = 0; k < order; ++k) {
    if (k == at) continue;
    scale *= logs[at] - logs[k];
    roots[count++] = logs[k];
  }
  const auto integral = [&](double u) {
    const double a = u - roots[0], b = u - roots[1];
    return std::exp(u) * (count == 0 ? 1 : count == 1 ? a - 1 : a * b - (a + b) + 2);
  };
  return (integral(next) - integral(logs[0])) / scale;
}

class Lms : public Multistep {
 public:
  Lms(const SchedulerConfig& config, int steps) : Multistep(kMaxKept), prediction_(config.prediction) {
    sigmas_ = descending_levels(config, steps, timesteps_);
    init_noise_sigma_ = first_sigma(config, sigmas_);
  }

  float input_scale(int call) const override { return scale_at(sigmas_.at(static_cast<size_t>(call))); }
  Estimate image_estimate(int call) const override {
    return image_at(prediction_, sigmas_.at(static_cast<size_t>(call)));
  }
  NoiseLevel noise_level(int call) const override { return {1, sigmas_.at(static_cast<size_t>(call))}; }

 protected:
  // d sample / d sigma
  Estimate kept(int call) const override {
    const Estimate image = image_estimate(call);
    return {(1 - image.sample) / sigmas_[call], -image.output / sigmas_[call]};
  }

  // diffusers takes the order from the place in the schedule, also where the values before it were
  // never made: these count as zero.
  MultistepMix mix(int call, int) const override {
    const int order = std::min(kMaxKept, call + 1);
    Nodes nodes{};
    for (int k = 0; k < order; ++k) nodes[k] = sigmas_[call - k];
    MultistepMix mix;
    mix.sample = 1;
    for (int k = 0; k < order; ++k) mix.kept[k] = lms_weight(nodes, order, k, sigmas_[call + 1]);
    return mix;
  }

 private:
  PredictionType prediction_;
  std::vector<float> sigmas_;
};

class Deis : public Multistep {
 public:
  Deis(const SchedulerConfig& config, int steps) : Multistep(config.solver_order), config_(config) {
    sigmas_ = descending_levels(config, steps, timesteps_);
  }

  Estimate image_estimate(int call) const override {
    return image_of(config_.prediction, Level(sigmas_.at(static_cast<size_t>(call))));
  }

  NoiseLevel noise_level(int call) const override { return noise_level_of(sigmas_.at(static_cast<size_t>(call))); }

 protected:
  Estimate kept(int call) const override {
    const Level now(sigmas_[call]);
    return noise_of(config_.prediction, now.alpha, now.sigma);
  }

  MultistepMix mix(int call, int before) const override {
    const int order = solver_order_at(config_, call, before, sigmas_);
    const Level now(sigmas_[call]), next(sigmas_[call + 1]);
    Nodes nodes{};
    for (int k = 0; k < order; ++k) nodes[k] = std::log(double{sigmas_[call - k]});
    MultistepMix mix;
    mix.sample = next.alpha / now.alpha;
    for (int k = 0; k < order; ++k) mix.kept[k] = next.alpha * deis_weight(nodes, order, k, -next.lambda);
    return mix;
  }

 private:
  SchedulerConfig config_;
  std::vector<float> sigmas_;
};

}  // namespace

std::unique_ptr<Scheduler> make_lagrange(const SchedulerConfig& config, int steps) {
  if (config.kind == SchedulerKind::kLms) return std::make_unique<Lms>(config, steps);
  return std::make_unique<Deis>(config, steps);
}

}  // namespace inkstone
