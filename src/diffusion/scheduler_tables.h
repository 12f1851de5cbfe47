// Shared by the scheduler families: training tables in torch's precision, timesteps and sigmas in
// numpy's, estimates of the image, and the function that makes each family.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "diffusion/scheduler.h"

namespace inkstone {

// Throws Error if a beta is not between 0 and 1.
std::vector<float> alphas_cumprod(const SchedulerConfig& config);
// sqrt((1 - a) / a); with zero_snr the last a is taken as 2^-24.
std::vector<float> train_sigmas(std::vector<float> alphas, bool zero_snr);

// DPM++, UniPC and DEIS space one point more and drop the last.
enum class Points { kSteps, kStepsAndOne };
// Descending; linspace is not rounded. `last` (at most train_timesteps) is one past the greatest
// timestep.
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, Points points, int last);
TimestepSpacing spacing_of(const SchedulerConfig& config);
double spaced(double first, double last, int i, int count);  // value i of numpy.linspace(first, last, count)
void round_all(std::vector<double>& values);                 // half to even, as numpy
std::vector<float> to_floats(std::span<const double> values);

// Where the calls of a scheduler over sigmas lie.
struct NoiseLevels {
  std::vector<float> timesteps;
  std::vector<float> sigmas;      // one more than timesteps at least: where the last step ends
  std::vector<float> log_sigmas;  // of each train timestep
};
// By the schedule, where the kind has them. The web UI's schedule ddim-uniform may give a few calls
// more than steps, or fewer.
NoiseLevels noise_levels(const SchedulerConfig& config, int steps);
// What the first noise is multiplied with, for a sample image + sigma * noise.
float first_sigma(const SchedulerConfig& config, std::span<const float> sigmas);
double timestep_at(double sigma, std::span<const float> log_sigmas);  // linear in ln sigma
// Quantile `part` of the Beta(0.6, 0.6) distribution.
double beta_quantile(double part);

// LCM's and TCD's: some of original_inference_steps even ones, from the last. Throws UsageError if
// there are not so many.
std::vector<float> distilled_timesteps(const SchedulerConfig& config, int steps);

// An ancestral step ends at `down`, and fresh noise times `up` brings it to the next sigma.
struct Ancestral {
  double down, up;
};
Ancestral ancestral(double sigma, double next);

Estimate image_of(PredictionType prediction, double alpha, double sigma);
Estimate noise_of(PredictionType prediction, double alpha, double sigma);
// Of a sample image + sigma * noise, whose model sees it times 1 / sqrt(sigma^2 + 1).
Estimate image_at(PredictionType prediction, double sigma);
float scale_at(double sigma);  // 1 / sqrt(sigma^2 + 1)

// For DPM++, UniPC and DEIS: the shares of image and noise at a sigma, and half the log of their power
// ratio (infinite at 0).
struct Level {
  explicit Level(float at);
  double alpha, sigma, lambda;
};
Estimate image_of(PredictionType prediction, const Level& at);
NoiseLevel noise_level_of(float sigma);
// noise_levels(): gives the sigmas, and the timesteps. Throws UsageError if two calls have the same
// sigma, because a multistep solver would divide by zero.
std::vector<float> descending_levels(const SchedulerConfig& config, int steps, std::vector<float>& timesteps);
// Throws UsageError if a timestep is outside the training table.
void check_timesteps(const SchedulerConfig& config, std::span<const float> timesteps);

std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_dpmpp(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_two_calls(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_lagrange(const SchedulerConfig& config, int steps);

}  // namespace inkstone
