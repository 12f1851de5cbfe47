// Names, the factory, and the checks of every scheduler before a step.
#include "diffusion/scheduler.h"

#include <algorithm>

#include "base/error.h"
#include "base/spelling.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

// Which schedules a kind takes.
enum class Levels {
  kDistilled,  // none but those that it was distilled with
  kTimesteps,  // the spacings of whole timesteps
  kSigmas      // all, but kLu of its own
};

struct Named {
  SchedulerKind kind;
  const char* name;
  const char* diffusers;
  Levels levels;
  bool draws_noise;
  bool zero_snr;  // rescale_betas_zero_snr
};

constexpr Named kKinds[] = {
    {SchedulerKind::kPndm, "pndm", "PNDMScheduler", Levels::kTimesteps, false, false},
    {SchedulerKind::kDdim, "ddim", "DDIMScheduler", Levels::kTimesteps, false, true},
    {SchedulerKind::kEuler, "euler", "EulerDiscreteScheduler", Levels::kSigmas, false, true},
    {SchedulerKind::kEulerAncestral, "euler-ancestral", "EulerAncestralDiscreteScheduler", Levels::kSigmas, true, true},
    {SchedulerKind::kDpmpp2M, "dpm++-2m", "DPMSolverMultistepScheduler", Levels::kSigmas, false, true},
    {SchedulerKind::kDpmpp2MSde, "dpm++-2m-sde", "DPMSolverMultistepScheduler", Levels::kSigmas, true, true},
    {SchedulerKind::kUniPc, "unipc", "UniPCMultistepScheduler", Levels::kSigmas, false, true},
    {SchedulerKind::kLcm, "lcm", "LCMScheduler", Levels::kDistilled, true, true},
    {SchedulerKind::kHeun, "heun", "HeunDiscreteScheduler", Levels::kSigmas, false, false},
    {SchedulerKind::kDpm2, "dpm2", "KDPM2DiscreteScheduler", Levels::kSigmas, false, false},
    {SchedulerKind::kDpm2Ancestral, "dpm2-a", "KDPM2AncestralDiscreteScheduler", Levels::kSigmas, true, false},
    {SchedulerKind::kLms, "lms", "LMSDiscreteScheduler", Levels::kSigmas, false, false},
    {SchedulerKind::kDpmpp2SAncestral, "dpm++-2s-a", "", Levels::kSigmas, true, true},
    {SchedulerKind::kDpmppSde, "dpm++-sde", "DPMSolverSDEScheduler", Levels::kSigmas, true, false},
    {SchedulerKind::kDpmpp3MSde, "dpm++-3m-sde", "", Levels::kSigmas, true, true},
    {SchedulerKind::kDeis, "deis", "DEISMultistepScheduler", Levels::kSigmas, false, false},
    {SchedulerKind::kTcd, "tcd", "TCDScheduler", Levels::kDistilled, true, true},
};

struct NamedSchedule {
  Schedule schedule;
  const char* name;
};

constexpr NamedSchedule kSchedules[] = {
    {Schedule::kDefault, "default"},    {Schedule::kLeading, "leading"},
    {Schedule::kLinspace, "linspace"},  {Schedule::kTrailing, "trailing"},
    {Schedule::kKarras, "karras"},      {Schedule::kExponential, "exponential"},
    {Schedule::kBeta, "beta"},          {Schedule::kLu, "lu"},
    {Schedule::kUniform, "uniform"},    {Schedule::kSgmUniform, "sgm-uniform"},
    {Schedule::kSimple, "simple"},      {Schedule::kDdimUniform, "ddim-uniform"},
    {Schedule::kAlignYourSteps, "ays"}, {Schedule::kKlOptimal, "kl-optimal"},
};

struct NamedPrediction {
  PredictionType prediction;
  std::string_view name;
};

constexpr NamedPrediction kPredictions[] = {{PredictionType::kEpsilon, "epsilon"},
                                            {PredictionType::kVPrediction, "v_prediction"},
                                            {PredictionType::kSample, "sample"}};

const Named& row(SchedulerKind kind) { return *std::ranges::find(kKinds, kind, &Named::kind); }

void check(const SchedulerConfig& config, int steps) {
  const int train = config.train_timesteps;
  const std::string name = name_of(config.kind);
  INKSTONE_CHECK(train >= 2 && train <= 1'000'000, name, ": num_train_timesteps is ", train,
                 ", not between 2 and 1000000");
  INKSTONE_CHECK(config.trained_betas.empty() || config.trained_betas.size() == static_cast<size_t>(train), name,
                 ": trained_betas has ", config.trained_betas.size(), " values for num_train_timesteps ", train);
  INKSTONE_CHECK_USAGE(steps >= 1 && steps <= train, name, ": steps is ", steps, ", not between 1 and the model's ",
                       train);
}

}  // namespace

SchedulerKind scheduler_kind(const std::string& name) {
  for (const Named& known : kKinds)
    if (lower(name) == known.name || (!name.empty() && name == known.diffusers)) return known.kind;
  fail<UsageError>(INKSTONE_HERE, {"no scheduler is called \"", name, "\"; there are ", listed(scheduler_names())});
}

std::string name_of(SchedulerKind kind) { return row(kind).name; }

std::vector<std::string> scheduler_names() {
  std::vector<std::string> names;
  for (const Named& known : kKinds) names.emplace_back(known.name);
  return names;
}

bool takes_schedule(SchedulerKind kind, Schedule schedule) {
  if (schedule == Schedule::kDefault) return true;
  const Levels levels = row(kind).levels;
  const bool spacing =
      schedule == Schedule::kLeading || schedule == Schedule::kLinspace || schedule == Schedule::kTrailing;
  if (spacing) return levels != Levels::kDistilled;
  if (schedule == Schedule::kLu) return kind == SchedulerKind::kDpmpp2M || kind == SchedulerKind::kDpmpp2MSde;
  return levels == Levels::kSigmas;
}

bool takes_eta(SchedulerKind kind) { return kind == SchedulerKind::kDdim || kind == SchedulerKind::kTcd; }

bool draws_noise(SchedulerKind kind) { return row(kind).draws_noise; }

bool calls_twice(SchedulerKind kind) {
  return kind == SchedulerKind::kHeun || kind == SchedulerKind::kDpm2 || kind == SchedulerKind::kDpm2Ancestral ||
         kind == SchedulerKind::kDpmpp2SAncestral || kind == SchedulerKind::kDpmppSde;
}

bool takes_zero_snr(SchedulerKind kind) { return row(kind).zero_snr; }

std::string name_of(PredictionType prediction) {
  return std::string(std::ranges::find(kPredictions, prediction, &NamedPrediction::prediction)->name);
}

std::optional<PredictionType> find_prediction(std::string_view name) {
  const auto* found = std::ranges::find(kPredictions, name, &NamedPrediction::name);
  return found == std::end(kPredictions) ? std::nullopt : std::optional(found->prediction);
}

std::vector<std::string> prediction_names() {
  std::vector<std::string> names;
  for (const NamedPrediction& known : kPredictions) names.emplace_back(known.name);
  return names;
}

std::string name_of(Schedule schedule) {
  return std::ranges::find(kSchedules, schedule, &NamedSchedule::schedule)->name;
}

std::vector<std::string> schedule_choices() {
  std::vector<std::string> names;
  for (const NamedSchedule& known : kSchedules) names.emplace_back(known.name);
  return names;
}

std::string diffusers_class(SchedulerKind kind) { return row(kind).diffusers; }

SchedulerState Scheduler::start(size_t size) const {
  SchedulerState state;
  state.history.assign(static_cast<size_t>(history_), std::vector<float>(size));
  return state;
}

void Scheduler::step(int call, std::span<const float> model_output, std::span<const float> noise,
                     std::span<float> sample, SchedulerState& state) const {
  INKSTONE_CHECK(call >= state.calls && call >= 0 && static_cast<size_t>(call) < timesteps_.size(), "scheduler: call ",
                 call, " of ", timesteps_.size(), " with a state of ", state.calls, " calls");
  INKSTONE_CHECK(model_output.size() == sample.size(), "scheduler: ", model_output.size(),
                 " values of model output for a sample of ", sample.size());
  INKSTONE_CHECK(!needs_noise(call) || noise.size() == sample.size(), "scheduler: ", noise.size(),
                 " values of noise for a sample of ", sample.size());
  INKSTONE_CHECK(state.history.size() == static_cast<size_t>(history_), "scheduler: a state with ",
                 state.history.size(), " buffers where ", history_, " are kept");
  for (const auto& buffer : state.history) {
    INKSTONE_CHECK(buffer.size() == sample.size(), "scheduler: a state for ", buffer.size(), " values and a sample of ",
                   sample.size());
  }
  advance(call, model_output, noise, sample, state);
  ++state.calls;
}

int steps_done(int done, int total, int steps) {
  return total > 0 ? static_cast<int>(int64_t{steps} * done / total) : 0;
}

std::unique_ptr<Scheduler> make_scheduler(const SchedulerConfig& config, int steps) {
  check(config, steps);
  switch (config.kind) {
    case SchedulerKind::kPndm: return make_pndm(config, steps);
    case SchedulerKind::kDdim:
    case SchedulerKind::kTcd: return make_ddim(config, steps);
    case SchedulerKind::kEuler:
    case SchedulerKind::kEulerAncestral: return make_euler(config, steps);
    case SchedulerKind::kHeun:
    case SchedulerKind::kDpm2:
    case SchedulerKind::kDpm2Ancestral:
    case SchedulerKind::kDpmpp2SAncestral:
    case SchedulerKind::kDpmppSde: return make_two_calls(config, steps);
    case SchedulerKind::kLms:
    case SchedulerKind::kDeis: return make_lagrange(config, steps);
    case SchedulerKind::kDpmpp2M:
    case SchedulerKind::kDpmpp2MSde:
    case SchedulerKind::kDpmpp3MSde: return make_dpmpp(config, steps);
    case SchedulerKind::kUniPc: return make_unipc(config, steps);
    case SchedulerKind::kLcm: return make_lcm(config, steps);
  }
  fail(INKSTONE_HERE, {"scheduler: no such kind"});
}

}  // namespace inkstone
