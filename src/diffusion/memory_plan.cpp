#include "diffusion/memory_plan.h"

#include <algorithm>
#include <set>

namespace inkstone {
namespace {

size_t in_use(const MemoryUse& use) { return use.mapped + use.work(); }

struct Sums {         // bytes of some stages
  size_t packed = 0;  // weights
  // The most that a stage before the steps has mapped and uses for work.
  size_t before = 0;
  // Mapped by the stages of each step.
  size_t step_pages = 0;
  size_t end_pages = 0;  // mapped by stages after the steps
  // The most work memory of any stage that is not before the steps; they share it.
  size_t work = 0;
};

// `turn`: of the components of one turn; "": of all.
Sums sums_of(const EnginePlan& plan, std::string_view turn) {
  Sums sums;
  for (const PlannedStage& stage : plan.stages) {
    if (!turn.empty() && turn_of(stage.component) != turn) continue;
    if (!stage.shares_packed) sums.packed += stage.use.weights;
    switch (stage.position) {
      case StagePosition::kBeforeSteps: sums.before = std::max(sums.before, in_use(stage.use)); continue;
      // A stage that shares its weights reads the other stage's pages, unless weights pass through
      // memory.
      case StagePosition::kEachStep:
        if (!stage.shares_packed || plan.weight_streaming) sums.step_pages += stage.use.mapped;
        break;
      case StagePosition::kAfterSteps: sums.end_pages += stage.use.mapped; break;
    }
    sums.work = std::max(sums.work, stage.use.work());
  }
  return sums;
}

}  // namespace

const MemoryUse& EnginePlan::use(std::string_view stage) const {
  static const MemoryUse none;
  const auto found = std::ranges::find(stages, stage, &PlannedStage::name);
  return found == stages.end() ? none : found->use;
}

size_t EnginePlan::weights_limit(std::string_view stage) const {
  const auto found = std::ranges::find(stages, stage, &PlannedStage::name);
  return found == stages.end() ? SIZE_MAX : found->weights_limit;
}

// Stages before the steps give back the pages that they read as soon as they have run. Before they
// run, the VAE's pages and the work memory are given back. If components take turns, the steps'
// pages are given back too.
size_t peak_of(const EnginePlan& plan) {
  const size_t always = plan.program_bytes + plan.carried_bytes + plan.owned_bytes;
  if (!plan.components_in_turn) {
    const Sums all = sums_of(plan, "");
    return always + all.packed + all.step_pages + std::max(all.before, all.end_pages + all.work);
  }
  std::set<std::string_view> turns;
  for (const PlannedStage& stage : plan.stages) turns.insert(turn_of(stage.component));
  size_t most = 0;
  for (const std::string_view turn : turns) {
    const Sums own = sums_of(plan, turn);
    most = std::max(most, own.packed + std::max(own.before, own.step_pages + own.end_pages + own.work));
  }
  return always + most;
}

}  // namespace inkstone
