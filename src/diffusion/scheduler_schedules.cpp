// Where noise levels lie: diffusers' spacings of timesteps and its Karras, exponential, beta and Lu
// sigmas, with the rounding of each of its classes; and the schedules of AUTOMATIC1111's web UI
// (modules/sd_schedulers.py) over k-diffusion's map of sigmas and timesteps, which is linear in
// ln sigma. What numpy computes is double until it is stored.
#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// Interpolated, constant beyond the ends.
double sigma_at(double timestep, std::span<const float> table) {
  if (timestep <= 0) return table.front();
  if (timestep >= static_cast<double>(table.size() - 1)) return table.back();
  const auto low = static_cast<size_t>(timestep);
  const double from = table[low], to = table[low + 1];
  return (to - from) * (timestep - static_cast<double>(low)) + from;
}

std::vector<float> logs(std::span<const float> values) {
  std::vector<float> result(values.begin(), values.end());
  for (float& value : result) value = std::log(value);
  return result;
}

// These space whole timesteps, one more than they use, and respace the whole table.
bool takes_whole_timesteps(SchedulerKind kind) {
  return kind == SchedulerKind::kDpmpp2M || kind == SchedulerKind::kDpmpp2MSde || kind == SchedulerKind::kUniPc ||
         kind == SchedulerKind::kDeis;
}

bool rounds_respaced(const SchedulerConfig& config) {
  const bool karras = config.schedule == Schedule::kKarras;
  switch (config.kind) {
    case SchedulerKind::kDpmpp2M:
    case SchedulerKind::kDpmpp2MSde:
      return (karras || config.schedule == Schedule::kLu) && config.beta_schedule != BetaSchedule::kSquaredCosCap;
    case SchedulerKind::kUniPc:
    case SchedulerKind::kDeis:
    case SchedulerKind::kDpm2:
    case SchedulerKind::kDpm2Ancestral: return karras;
    default: return false;
  }
}

bool respaced(Schedule schedule) {
  return schedule == Schedule::kKarras || schedule == Schedule::kExponential || schedule == Schedule::kBeta ||
         schedule == Schedule::kLu;
}

// From `high` to `low`, or from sigma_max to sigma_min where they are set and the class reads them.
std::vector<double> respaced_sigmas(const SchedulerConfig& config, double high, double low, int steps) {
  const bool karras = config.schedule == Schedule::kKarras;
  const bool own_ends = config.schedule == Schedule::kLu ||
                        (karras && (config.kind == SchedulerKind::kLms || config.kind == SchedulerKind::kDpmppSde));
  if (!own_ends) {
    high = config.sigma_max.value_or(high);
    low = config.sigma_min.value_or(low);
  }
  INKSTONE_CHECK(low > 0 && high >= low && std::isfinite(high), name_of(config.kind), ": sigma_min ", low,
                 " and sigma_max ", high, " must be positive and in that order");
  constexpr double kRho = 7;
  const double high_root = std::pow(high, 1 / kRho), low_root = std::pow(low, 1 / kRho);
  std::vector<double> sigmas(static_cast<size_t>(steps));
  for (int i = 0; i < steps; ++i) {
    if (karras) {
      sigmas[i] = std::pow(high_root + spaced(0, 1, i, steps) * (low_root - high_root), kRho);
    } else if (config.schedule == Schedule::kBeta) {
      sigmas[i] = low + beta_quantile(1 - spaced(0, 1, i, steps)) * (high - low);
    } else {
      sigmas[i] = std::exp(spaced(std::log(high), std::log(low), i, steps));
    }
  }
  return sigmas;
}

// As diffusers has them. The spacings' sigmas belong to their timesteps; respaced ones give theirs.
void space(const SchedulerConfig& config, std::span<const float> table, int steps, NoiseLevels& levels) {
  const bool whole = takes_whole_timesteps(config.kind);
  // Keeps the timesteps whose half log-SNR, -ln sigma, is at least lambda_min_clipped.
  const auto clipped =
      std::ranges::count_if(levels.log_sigmas, [&](float ln) { return -ln < config.lambda_min_clipped; });
  const int last = config.train_timesteps - static_cast<int>(clipped);
  INKSTONE_CHECK(last >= 1, name_of(config.kind), ": lambda_min_clipped ", config.lambda_min_clipped,
                 " leaves no timestep");
  auto timesteps = spaced_timesteps(config, steps, whole ? Points::kStepsAndOne : Points::kSteps, last);
  if (whole) round_all(timesteps);
  for (double& t : timesteps) t = static_cast<float>(t);
  std::vector<double> sigmas;
  if (config.log_linear) {
    // One more than the calls, because the last step ends at the smallest sigma in training.
    const double high = std::log(table.back()), low = std::log(table.front());
    for (int i = 0; i <= steps; ++i) sigmas.push_back(std::exp(high + (low - high) * i / steps));
  } else {
    for (const double t : timesteps) sigmas.push_back(sigma_at(t, table));
  }
  if (respaced(config.schedule)) {
    sigmas = respaced_sigmas(config, whole ? table.back() : sigmas.front(), whole ? table.front() : sigmas.back(),
                             static_cast<int>(timesteps.size()));
    std::ranges::transform(sigmas, timesteps.begin(), [&](double s) { return timestep_at(s, levels.log_sigmas); });
    if (rounds_respaced(config)) round_all(timesteps);
    if (whole)
      for (double& t : timesteps) t = std::trunc(t);
  }
  levels.timesteps = to_floats(timesteps);
  levels.sigmas = to_floats(sigmas);
}

// NVIDIA's Align Your Steps (Sabour et al. 2024), published for 10 steps.
constexpr double kAysSd1[] = {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, .963, .652, .399, .152, .029};
constexpr double kAysSdxl[] = {14.615, 6.315, 3.771, 2.181, 1.342, .862, .555, .380, .234, .113, .029};

// ln sigma of point i of `steps`, interpolated in the published table.
double align_your_steps(bool sdxl, int i, int steps) {
  const auto& table = sdxl ? kAysSdxl : kAysSd1;
  constexpr int kLast = static_cast<int>(std::size(kAysSd1)) - 1;
  const double at = steps > 1 ? static_cast<double>(i) * kLast / (steps - 1) : 0;
  const int low = std::min(static_cast<int>(at), kLast - 1);
  return std::lerp(std::log(table[low]), std::log(table[low + 1]), at - low);
}

// As the web UI has them.
void space_as_web_ui(const SchedulerConfig& config, std::span<const float> table, int steps, NoiseLevels& levels) {
  const auto train = static_cast<int>(table.size());
  const auto add = [&](double timestep, double sigma) {
    levels.timesteps.push_back(static_cast<float>(timestep));
    levels.sigmas.push_back(static_cast<float>(sigma));
  };
  const auto add_timestep = [&](double t) { add(t, std::exp(sigma_at(t, levels.log_sigmas))); };
  const auto add_sigma = [&](double sigma) { add(timestep_at(sigma, levels.log_sigmas), sigma); };
  const double low = std::atan(table.front()), high = std::atan(table.back());
  if (config.schedule == Schedule::kDdimUniform) {
    const int stride = std::max(train / steps, 1);
    for (int t = 1 + (train - 2) / stride * stride; t > 0; t -= stride) add_timestep(t);
    return;
  }
  for (int i = 0; i < steps; ++i) {
    switch (config.schedule) {
      case Schedule::kSgmUniform: add_timestep(spaced(train - 1, 0, i, steps + 1)); break;
      case Schedule::kSimple:
        add_timestep(train - 1 - static_cast<int>(i * (static_cast<double>(train) / steps)));
        break;
      case Schedule::kAlignYourSteps: add_sigma(std::exp(align_your_steps(config.sdxl, i, steps))); break;
      case Schedule::kKlOptimal: add_sigma(std::tan(spaced(high, low, i, steps + 1))); break;
      default: add_timestep(spaced(train - 1, 0, i, steps)); break;
    }
  }
}

float last_sigma(const SchedulerConfig& config, std::span<const float> table, float before) {
  if (config.schedule == Schedule::kKlOptimal) return table.front();
  if (!config.final_sigma_min) return 0;
  const bool repeats = config.kind == SchedulerKind::kUniPc || config.kind == SchedulerKind::kDeis;
  if (repeats && respaced(config.schedule)) return before;
  return config.schedule < Schedule::kUniform ? table.front() : std::min(before, table.front());
}

}  // namespace

NoiseLevels noise_levels(const SchedulerConfig& config, int steps) {
  const auto table = train_sigmas(alphas_cumprod(config), config.rescale_betas_zero_snr);
  NoiseLevels levels;
  levels.log_sigmas = logs(table);
  // The web UI leaves out the last level but zero for this one, which draws badly from it.
  const bool discards = config.kind == SchedulerKind::kDpmpp3MSde;
  const int points = discards ? steps + 1 : steps;
  if (config.schedule >= Schedule::kUniform) {
    space_as_web_ui(config, table, points, levels);
  } else {
    space(config, table, points, levels);
  }
  if (discards) {
    levels.timesteps.pop_back();
    levels.sigmas.pop_back();
  }
  levels.sigmas.push_back(last_sigma(config, table, levels.sigmas.back()));
  return levels;
}

float first_sigma(const SchedulerConfig& config, std::span<const float> sigmas) {
  const double greatest = std::ranges::max(sigmas);
  const bool leads = config.schedule < Schedule::kUniform && spacing_of(config) == TimestepSpacing::kLeading;
  return static_cast<float>(leads ? std::sqrt(greatest * greatest + 1) : greatest);
}

double timestep_at(double sigma, std::span<const float> log_sigmas) {
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  size_t low = 0;
  for (size_t i = 0; i < log_sigmas.size(); ++i) {
    if (log_sigma >= log_sigmas[i]) low = i;
  }
  low = std::min(low, log_sigmas.size() - 2);
  const double from = log_sigmas[low], to = log_sigmas[low + 1];
  const double weight = std::clamp((from - log_sigma) / (from - to), 0.0, 1.0);
  return (1 - weight) * static_cast<double>(low) + weight * static_cast<double>(low + 1);
}

double beta_quantile(double part) {
  constexpr double kShape = 0.6;
  return boost::math::ibeta_inv(kShape, kShape, part);
}

}  // namespace inkstone
