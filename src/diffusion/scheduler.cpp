// Names, the factory, and the checks of every scheduler before a step.
#include "diffusion/scheduler.h"

#include <algorithm>

#include "base/error.h"
#include "base/spelling.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

struct Named {
  SchedulerKind kind;
  const char* name;
  const char* diffusers;
};

constexpr Named kKinds[] = {
    {SchedulerKind::kPndm, "pndm", "PNDMScheduler"},
    {SchedulerKind::kDdim, "ddim", "DDIMScheduler"},
    {SchedulerKind::kEuler, "euler", "EulerDiscreteScheduler"},
    {SchedulerKind::kEulerAncestral, "euler-ancestral", "EulerAncestralDiscreteScheduler"},
    {SchedulerKind::kDpmpp2M, "dpm++-2m", "DPMSolverMultistepScheduler"},
    {SchedulerKind::kDpmpp2MSde, "dpm++-2m-sde", "DPMSolverMultistepScheduler"},
    {SchedulerKind::kUniPc, "unipc", "UniPCMultistepScheduler"},
    {SchedulerKind::kLcm, "lcm", "LCMScheduler"},
};

const Named& row(SchedulerKind kind) { return *std::ranges::find(kKinds, kind, &Named::kind); }

void check(const SchedulerConfig& config, int steps) {
  const int train = config.train_timesteps;
  const std::string name = name_of(config.kind);
  INKSTONE_CHECK(train >= 2 && train <= 1'000'000, name, ": num_train_timesteps is ", train,
                 ", not between 2 and 1000000");
  INKSTONE_CHECK(config.trained_betas.empty() || config.trained_betas.size() == static_cast<size_t>(train), name,
                 ": trained_betas has ", config.trained_betas.size(), " values for num_train_timesteps ", train);
  INKSTONE_CHECK(config.karras + config.exponential + config.lu_lambdas <= 1, name,
                 ": only one of use_karras_sigmas, use_exponential_sigmas and use_lu_lambdas can be set");
  INKSTONE_CHECK_USAGE(steps >= 1 && steps <= train, name, ": steps is ", steps, ", not between 1 and the model's ",
                       train);
}

}  // namespace

SchedulerKind scheduler_kind(const std::string& name) {
  for (const Named& known : kKinds)
    if (lower(name) == known.name || name == known.diffusers) return known.kind;
  fail<UsageError>(INKSTONE_HERE, {"no scheduler is called \"", name, "\"; there are ", listed(scheduler_names())});
}

std::string name_of(SchedulerKind kind) { return row(kind).name; }

std::vector<std::string> scheduler_names() {
  std::vector<std::string> names;
  for (const Named& known : kKinds) names.emplace_back(known.name);
  return names;
}

bool takes_karras(SchedulerKind kind) {
  switch (kind) {
    case SchedulerKind::kEuler:
    case SchedulerKind::kEulerAncestral:
    case SchedulerKind::kDpmpp2M:
    case SchedulerKind::kDpmpp2MSde:
    case SchedulerKind::kUniPc: return true;
    case SchedulerKind::kPndm:
    case SchedulerKind::kDdim:
    case SchedulerKind::kLcm: return false;
  }
  return false;
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
    case SchedulerKind::kDdim: return make_ddim(config, steps);
    case SchedulerKind::kEuler:
    case SchedulerKind::kEulerAncestral: return make_euler(config, steps);
    case SchedulerKind::kDpmpp2M:
    case SchedulerKind::kDpmpp2MSde: return make_dpmpp(config, steps);
    case SchedulerKind::kUniPc: return make_unipc(config, steps);
    case SchedulerKind::kLcm: return make_lcm(config, steps);
  }
  fail(INKSTONE_HERE, {"scheduler: no such kind"});
}

}  // namespace inkstone
