// What the scheduler families share: the training tables in torch's precision, timesteps and sigmas in numpy's, what a
// model's output says about the image, and how each family is made.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "diffusion/scheduler.h"

namespace inkstone {

// Throws Error where a beta is no number between 0 and 1.
std::vector<float> alphas_cumprod(const SchedulerConfig& config);
// sqrt((1 - a) / a); where zero_snr, the last a counts as 2^-24.
std::vector<float> train_sigmas(std::vector<float> alphas, bool zero_snr);

enum class Points { kSteps, kStepsAndOne };  // DPM++ and UniPC space one point more and leave the last out
// Descending; linspace is not rounded. `last` (at most train_timesteps) is one past the greatest timestep.
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, Points points, int last);
void round_all(std::vector<double>& values);  // half to even, as numpy
std::vector<float> to_floats(std::span<const double> values);

double sigma_at(double timestep, std::span<const float> sigmas);      // interpolated, the ends held
double timestep_at(double sigma, std::span<const float> log_sigmas);  // its inverse, linear in ln sigma
std::vector<float> logs(std::span<const float> values);
bool respaced(const SchedulerConfig& config);  // whether one of the following spacings is asked for
// Karras (rho 7), exponential or Lu's sigmas, from `high` to `low` or what sigma_max and sigma_min say.
std::vector<double> respaced_sigmas(const SchedulerConfig& config, double high, double low, int steps);

Estimate image_of(PredictionType prediction, double alpha, double sigma);
Estimate noise_of(PredictionType prediction, double alpha, double sigma);

// Of DPM++ and UniPC: the image's and the noise's part at a sigma, and half the log of their power ratio (infinite at
// 0).
struct Level {
  explicit Level(float at);
  double alpha, sigma, lambda;
};
// UsageError where two of the calls stand at one sigma: a multistep solver would divide by nothing.
void check_descending(const SchedulerConfig& config, std::span<const float> sigmas, size_t calls);
// UsageError where a timestep is outside the training table.
void check_timesteps(const SchedulerConfig& config, std::span<const float> timesteps);

std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_dpmpp(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config, int steps);

}  // namespace inkstone
