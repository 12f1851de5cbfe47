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

// DPM++ and UniPC space one point more and drop the last.
enum class Points { kSteps, kStepsAndOne };
// Descending; linspace is not rounded. `last` (at most train_timesteps) is one past the greatest
// timestep.
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, Points points, int last);
void round_all(std::vector<double>& values);  // half to even, as numpy
std::vector<float> to_floats(std::span<const double> values);

double sigma_at(double timestep, std::span<const float> sigmas);      // interpolated, constant beyond the ends
double timestep_at(double sigma, std::span<const float> log_sigmas);  // its inverse, linear in ln sigma
std::vector<float> logs(std::span<const float> values);
bool respaced(const SchedulerConfig& config);  // whether respaced_sigmas() is to be used
// Karras (rho 7), exponential or Lu's sigmas, from `high` to `low`, or from sigma_max to sigma_min
// if they are set.
std::vector<double> respaced_sigmas(const SchedulerConfig& config, double high, double low, int steps);

Estimate image_of(PredictionType prediction, double alpha, double sigma);
Estimate noise_of(PredictionType prediction, double alpha, double sigma);

// For DPM++ and UniPC: the shares of image and noise at a sigma, and half the log of their power
// ratio (infinite at 0).
struct Level {
  explicit Level(float at);
  double alpha, sigma, lambda;
};
// Throws UsageError if two calls have the same sigma, because a multistep solver would divide by
// zero.
void check_descending(const SchedulerConfig& config, std::span<const float> sigmas, size_t calls);
// Throws UsageError if a timestep is outside the training table.
void check_timesteps(const SchedulerConfig& config, std::span<const float> timesteps);

std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_dpmpp(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config, int steps);
std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config, int steps);

}  // namespace inkstone
