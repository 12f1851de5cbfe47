// Tables keep torch's types: betas, alphas and sigmas in float, cumulative products in double and
// stored as float; what numpy computes (timesteps, interpolated and respaced sigmas) is double
// until it is stored.
#include "diffusion/scheduler_tables.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/error.h"

namespace inkstone {
namespace {

// torch.linspace in float: from both ends to the middle.
std::vector<float> linspace(float first, float last, int count) {
  std::vector<float> values(static_cast<size_t>(count), first);
  if (count == 1) return values;
  const float step = (last - first) / static_cast<float>(count - 1);
  for (int i = 0; i < count; ++i) {
    values[i] = i < count / 2 ? first + step * static_cast<float>(i) : last - step * static_cast<float>(count - 1 - i);
  }
  return values;
}

std::vector<float> cosine_betas(int count) {
  const auto alpha_bar = [](double t) { return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2); };
  std::vector<float> betas(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const double ratio = alpha_bar((i + 1.0) / count) / alpha_bar(static_cast<double>(i) / count);
    betas[i] = static_cast<float>(std::min(1 - ratio, 0.999));
  }
  return betas;
}

std::vector<float> betas_of(const SchedulerConfig& config) {
  if (!config.trained_betas.empty()) return config.trained_betas;
  const auto ends = [](double value) { return static_cast<float>(value); };
  switch (config.beta_schedule) {
    case BetaSchedule::kLinear: return linspace(ends(config.beta_start), ends(config.beta_end), config.train_timesteps);
    case BetaSchedule::kSquaredCosCap: return cosine_betas(config.train_timesteps);
    case BetaSchedule::kScaledLinear: break;
  }
  auto betas = linspace(ends(std::sqrt(config.beta_start)), ends(std::sqrt(config.beta_end)), config.train_timesteps);
  for (float& beta : betas) beta *= beta;
  return betas;
}

std::vector<float> cumulative_product(std::span<const float> betas) {
  std::vector<float> products(betas.size());
  double product = 1;
  for (size_t i = 0; i < betas.size(); ++i) products[i] = static_cast<float>(product *= 1.0f - betas[i]);
  return products;
}

// Lin et al. (2024), algorithm 1: shifts sqrt(alphas_cumprod) so that the last is 0 and the first
// stays.
void rescale_to_zero_snr(std::vector<float>& betas) {
  std::vector<float> alphas = cumulative_product(betas);
  for (float& alpha : alphas) alpha = std::sqrt(alpha);
  const float first = alphas.front(), last = alphas.back();
  const float scale = first / (first - last);
  for (float& alpha : alphas) {
    alpha = (alpha - last) * scale;
    alpha *= alpha;
  }
  betas[0] = 1 - alphas[0];
  for (size_t i = 1; i < betas.size(); ++i) betas[i] = 1 - alphas[i] / alphas[i - 1];
}

}  // namespace

double spaced(double first, double last, int i, int count) {
  if (i == 0) return first;
  return i == count - 1 ? last : i * ((last - first) / (count - 1)) + first;
}

TimestepSpacing spacing_of(const SchedulerConfig& config) {
  if (config.schedule == Schedule::kLeading) return TimestepSpacing::kLeading;
  if (config.schedule == Schedule::kLinspace) return TimestepSpacing::kLinspace;
  if (config.schedule == Schedule::kTrailing) return TimestepSpacing::kTrailing;
  const bool leads = config.kind == SchedulerKind::kPndm || config.kind == SchedulerKind::kDdim;
  return config.spacing.value_or(leads ? TimestepSpacing::kLeading : TimestepSpacing::kLinspace);
}

std::vector<float> alphas_cumprod(const SchedulerConfig& config) {
  std::vector<float> betas = betas_of(config);
  const auto bad = std::ranges::find_if_not(betas, [](float beta) { return beta > 0 && beta < 1; });
  INKSTONE_CHECK(bad == betas.end(), name_of(config.kind), ": beta ", bad - betas.begin(), " of the noise schedule is ",
                 *bad, ", not between 0 and 1; see beta_start, beta_end and trained_betas in scheduler_config.json");
  if (config.rescale_betas_zero_snr && config.kind != SchedulerKind::kPndm) rescale_to_zero_snr(betas);
  return cumulative_product(betas);
}

std::vector<float> train_sigmas(std::vector<float> alphas, bool zero_snr) {
  if (zero_snr) alphas.back() = 0x1p-24f;
  for (float& alpha : alphas) alpha = std::sqrt((1 - alpha) / alpha);
  return alphas;
}

std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, Points points, int last) {
  const int train = config.train_timesteps;
  const int extra = points == Points::kStepsAndOne ? 1 : 0;
  std::vector<double> timesteps;
  timesteps.reserve(static_cast<size_t>(steps));
  switch (spacing_of(config)) {
    case TimestepSpacing::kLinspace: {
      const int gaps = steps + extra - 1;
      for (int i = gaps; i >= extra; --i) timesteps.push_back(spaced(0, last - 1, i, gaps + 1));
      break;
    }
    case TimestepSpacing::kLeading: {
      const int ratio = (extra ? last : train) / (steps + extra);
      for (int i = steps - 1 + extra; i >= extra; --i)
        timesteps.push_back(static_cast<double>(i) * ratio + config.steps_offset);
      break;
    }
    case TimestepSpacing::kTrailing: {
      // numpy.arange's arithmetic. For some step counts (61, 103, ...) rounding gives one value too
      // many, and diffusers then makes a last call at timestep -1. That call is left out here.
      const double ratio = static_cast<double>(train) / steps;
      const auto length = std::min<double>(steps, std::ceil(last / ratio));
      const double delta = (last - ratio) - last;
      for (int i = 0; i < static_cast<int>(length); ++i) timesteps.push_back(std::nearbyint(last + i * delta) - 1);
      break;
    }
  }
  return timesteps;
}

void round_all(std::vector<double>& values) {
  for (double& value : values) value = std::nearbyint(value);
}

std::vector<float> to_floats(std::span<const double> values) {
  std::vector<float> floats(values.size());
  std::ranges::transform(values, floats.begin(), [](double value) { return static_cast<float>(value); });
  return floats;
}

std::vector<float> distilled_timesteps(const SchedulerConfig& config, int steps) {
  const int original = config.original_inference_steps, train = config.train_timesteps;
  const std::string name = name_of(config.kind);
  INKSTONE_CHECK(original >= 1 && original <= train, name, ": original_inference_steps is ", original,
                 ", not between 1 and ", train);
  INKSTONE_CHECK_USAGE(steps <= original, name, ": ", steps, " steps are more than the ", original,
                       " that the model was distilled with (original_inference_steps); ask for at most that many");
  const double stride = static_cast<double>(original) / steps;
  std::vector<float> timesteps;
  for (int i = 0; i < steps; ++i)
    timesteps.push_back(static_cast<float>((original - static_cast<int>(i * stride)) * (train / original) - 1));
  return timesteps;
}

Ancestral ancestral(double sigma, double next) {
  const double up = std::sqrt(std::max(0.0, next * next * (sigma * sigma - next * next) / (sigma * sigma)));
  return {std::sqrt(std::max(0.0, next * next - up * up)), up};
}

Estimate image_of(PredictionType prediction, double alpha, double sigma) {
  switch (prediction) {
    case PredictionType::kEpsilon: return {1 / alpha, -sigma / alpha};
    case PredictionType::kVPrediction: return {alpha, -sigma};
    case PredictionType::kSample: break;
  }
  return {0, 1};
}

Estimate noise_of(PredictionType prediction, double alpha, double sigma) {
  switch (prediction) {
    case PredictionType::kEpsilon: return {0, 1};
    case PredictionType::kVPrediction: return {sigma, alpha};
    case PredictionType::kSample: break;
  }
  return {1 / sigma, -alpha / sigma};
}

float scale_at(double sigma) { return static_cast<float>(1 / std::sqrt(sigma * sigma + 1)); }

Estimate image_at(PredictionType prediction, double sigma) {
  const double alpha = 1 / std::sqrt(sigma * sigma + 1);
  const Estimate image = image_of(prediction, alpha, sigma * alpha);
  return {image.sample * alpha, image.output};
}

Level::Level(float at) : alpha(1 / std::sqrt(double{at} * at + 1)), sigma(at * alpha), lambda(-std::log(double{at})) {}

Estimate image_of(PredictionType prediction, const Level& at) { return image_of(prediction, at.alpha, at.sigma); }

NoiseLevel noise_level_of(float sigma) {
  const Level level(sigma);
  return {level.alpha, level.sigma};
}

std::vector<float> descending_levels(const SchedulerConfig& config, int steps, std::vector<float>& timesteps) {
  NoiseLevels levels = noise_levels(config, steps);
  const size_t calls = levels.timesteps.size();
  for (size_t i = 1; i < calls; ++i) {
    INKSTONE_CHECK_USAGE(levels.sigmas[i] < levels.sigmas[i - 1], name_of(config.kind), ": ", calls,
                         " steps put calls ", i - 1, " and ", i, " at the same noise level; ask for fewer steps");
  }
  timesteps = std::move(levels.timesteps);
  return std::move(levels.sigmas);
}

void check_timesteps(const SchedulerConfig& config, std::span<const float> timesteps) {
  for (const float t : timesteps) {
    INKSTONE_CHECK_USAGE(t >= 0 && t < static_cast<float>(config.train_timesteps), name_of(config.kind), ": ",
                         timesteps.size(), " calls with steps_offset ", config.steps_offset, " reach timestep ", t,
                         ", outside 0 to ", config.train_timesteps - 1, "; ask for fewer steps");
  }
}

}  // namespace inkstone
