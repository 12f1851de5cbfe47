#include "diffusion/program_cache.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "diffusion/memory_planner.h"
#include "diffusion/preview_vae.h"

namespace inkstone {
namespace {

constexpr size_t kStepsKept = 24, kHintsKept = 4, kAbsentKept = 4096;
constexpr int kMaxJobs = 64;  // of a program
// Bytes of packed weights. A program with more is dropped when its component's turn is over; others
// are kept.
constexpr size_t kHeavyPacking = size_t{64} << 20;

// Clients choose the sizes, so the program that was used longest ago is dropped, of those that count.
constexpr auto kAll = [](const auto&) { return true; };
template <typename Programs, typename Counts = decltype(kAll)>
void make_room(Programs& programs, size_t most, const Counts& counts = kAll) {
  while (static_cast<size_t>(std::ranges::count_if(programs, counts)) >= most)
    programs.erase(std::ranges::min_element(
        programs, {}, [&](const auto& entry) { return std::pair(!counts(entry), entry.second.used); }));
}

std::vector<size_t> weights_limits(const EnginePlan& plan) {
  std::vector<size_t> limits;
  for (const PlannedStage& stage : plan.stages) limits.push_back(stage.weights_limit);
  return limits;
}

bool makes_other_programs(const EnginePlan& a, const EnginePlan& b) {
  return a.precision != b.precision || a.attention_slicing != b.attention_slicing || a.vae_tiling != b.vae_tiling ||
         a.components_in_turn != b.components_in_turn || a.weight_streaming != b.weight_streaming ||
         (a.weight_streaming && weights_limits(a) != weights_limits(b));
}

}  // namespace

bool ProgramCache::replace_plan(EnginePlan next) {
  const bool others = plan_.stages.empty() || makes_other_programs(next, plan_);
  if (others) {
    awake_.clear();
    stages_before_.clear();
    before_.clear();
    text_forms_.clear();
    steps_.clear();
    absent_.clear();
    vaes_.clear();
    hints_.clear();
    previews_.clear();
    backend_.trim();
  }
  plan_ = std::move(next);
  return others;
}

bool ProgramCache::packs_in_turn() const {
  const auto heavy = [](const PlannedStage& stage) { return stage.use.weights > kHeavyPacking; };
  return plan_.components_in_turn && std::ranges::any_of(plan_.stages, heavy);
}

CompileOptions ProgramCache::compile_options(const PipelineStage& stage) const {
  return {plan_.precision, plan_.attention_slicing, stage.takes_tiling && plan_.vae_tiling,
          plan_.weights_limit(stage.name)};
}

std::unique_ptr<BoundProgram> ProgramCache::build(const PipelineStage& stage, int jobs) const {
  const Weights& weights = pipeline_.component(stage.component).weights;
  return std::make_unique<BoundProgram>(backend_, backend_.compile(stage.graph, weights, compile_options(stage)),
                                        stage.graph, stage.component, jobs);
}

const std::vector<PipelineStage>& ProgramCache::before_steps() {
  if (!stages_before_.empty()) return stages_before_;
  std::vector<int> controls(pipeline_.controls.size());
  std::iota(controls.begin(), controls.end(), 0);
  return stages_before_ = stages_before_steps(pipeline_, plan_.precision, controls);
}

BoundProgram& ProgramCache::before_steps(const std::string& name) {
  const std::vector<PipelineStage>& all = before_steps();
  const auto stage = std::ranges::find(all, name, &PipelineStage::name);
  INKSTONE_CHECK(stage != all.end(), "no stage before the steps is called ", name);
  evict_all_but(stage->component);
  std::unique_ptr<BoundProgram>& program = before_[name];
  if (!program) program = build(*stage);
  return *program;
}

BoundProgram& ProgramCache::text_encoder(const TextEncoder& encoder, const TextForm& form) {
  TextForm& has = text_forms_[encoder.component];
  std::unique_ptr<BoundProgram>& program = before_[encoder.component];
  evict_all_but(encoder.component);
  if (has != form) program.reset();
  if (!program) program = build(text_stage(encoder, form));
  has = form;
  return *program;
}

BoundProgram* ProgramCache::find_step(const StageShape& shape) {
  if (const auto found = steps_.find(shape); found != steps_.end()) {
    evict_all_but(found->second.program->component());
    return &used(found->second);
  }
  if (absent_.contains(shape)) return nullptr;
  const PipelineStage stage = step_stage(pipeline_, shape, plan_.precision);
  evict_all_but(stage.component);
  if (!backend_.has(stage.graph, compile_options(stage))) return mark_absent(shape), nullptr;
  std::unique_ptr<BoundProgram> program = build(stage, shape.jobs);
  make_room(steps_, kStepsKept);
  return &used(steps_[shape] = {std::move(program), 0});
}

BoundProgram& ProgramCache::step(const StageShape& shape) {
  if (BoundProgram* program = find_step(shape)) return *program;
  // throws the backend's error, which says what there is instead
  build(step_stage(pipeline_, shape, plan_.precision), shape.jobs);
  fail(INKSTONE_HERE, {"a step of ", shape.jobs, " jobs has no program"});
}

BoundProgram& ProgramCache::step_for(const StageShape& asked) {
  StageShape shape = asked;
  for (; shape.jobs > 0; --shape.jobs)
    if (BoundProgram* program = find_step(shape)) return *program;
  for (shape.jobs = asked.jobs + 1; shape.jobs <= kMaxJobs; ++shape.jobs)
    if (BoundProgram* program = find_step(shape)) return *program;
  return step(asked);
}

BoundProgram& ProgramCache::vae(const VaeShape& shape) {
  if (const auto found = vaes_.find(shape); found != vaes_.end()) {
    evict_all_but(found->second.program->component());
    return used(found->second);
  }
  const PipelineStage stage = shape.encodes ? encode_stage(pipeline_, shape.width, shape.height)
                                            : decode_stage(pipeline_, shape.width, shape.height);
  evict_all_but(stage.component);
  std::unique_ptr<BoundProgram> program = build(stage);
  // Encoders do not take the decoders' places: an image from a picture needs one of each.
  const auto same_way = [&](const auto& entry) { return entry.first.encodes == shape.encodes; };
  make_room(vaes_, MemoryPlanner::kDecodersKept, same_way);
  return used(vaes_[shape] = {std::move(program), 0});
}

BoundProgram& ProgramCache::hint(const HintShape& shape) {
  if (const auto found = hints_.find(shape); found != hints_.end()) {
    evict_all_but(found->second.program->component());
    return used(found->second);
  }
  const PipelineStage stage = hint_stage(pipeline_, shape.control, shape.width, shape.height);
  evict_all_but(stage.component);
  std::unique_ptr<BoundProgram> program = build(stage);
  make_room(hints_, kHintsKept);
  return used(hints_[shape] = {std::move(program), 0});
}

BoundProgram* ProgramCache::preview_decoder(int width, int height) {
  evict_all_but(kPreviewVae);
  if (const auto found = previews_.find({width, height}); found != previews_.end()) return &used(found->second);
  const PipelineStage stage = preview_stage(pipeline_, width, height);
  if (!backend_.has(stage.graph, compile_options(stage))) return nullptr;
  std::unique_ptr<BoundProgram> program = build(stage);
  make_room(previews_, MemoryPlanner::kPreviewDecodersKept);
  return &used(previews_[{width, height}] = {std::move(program), 0});
}

BoundProgram& ProgramCache::used(Entry& entry) {
  entry.used = ++clock_;
  return *entry.program;
}

void ProgramCache::mark_absent(const StageShape& shape) {
  if (absent_.size() >= kAbsentKept) absent_.clear();  // they will be found again
  absent_.insert(shape);
}

bool ProgramCache::retry_with_fewer(StageShape shape, int tried) {
  while (!tried && shape.jobs > 1 && absent_.contains(shape)) --shape.jobs;
  if (tried) shape.jobs = tried;
  if (shape.jobs == 1) return false;
  steps_.erase(shape);
  mark_absent(shape);
  return true;
}

void ProgramCache::claim_shared_inputs(const StageShape& shape) {
  if (shape.jobs == 1 || (shared_inputs_ && *shared_inputs_ == shape)) return;
  if (shared_inputs_)
    if (const auto before = steps_.find(*shared_inputs_); before != steps_.end()) before->second.program->drop_inputs();
  shared_inputs_ = std::make_unique<StageShape>(shape);
}

void ProgramCache::make_room_before_steps() {
  if (plan_.components_in_turn) return;
  for (auto& [shape, entry] : vaes_) entry.program->program().release_pages();
  backend_.trim();
}

void ProgramCache::begin_turn(const std::string& component) {
  evict_all_but(component);
  make_room_before_steps();
}

std::vector<Tensor> ProgramCache::run_before_steps(BoundProgram& program) {
  make_room_before_steps();
  std::vector<Tensor> made = program.run_for_new_outputs();
  program.program().release_pages();
  return made;
}

void ProgramCache::leave_memory() {
  for (auto& [stage, program] : before_)
    if (program) program->program().release_pages();
  for (auto& [shape, entry] : steps_) entry.program->program().release_pages();
  for (auto& [shape, entry] : vaes_) entry.program->program().release_pages();
  for (auto& [size, entry] : previews_) entry.program->program().release_pages();
  hints_.clear();
  before_.clear();
  text_forms_.clear();
  steps_.clear();
  vaes_.clear();
  previews_.clear();
  awake_.clear();
  backend_.trim();
}

void ProgramCache::evict_all_but(const std::string& component) {
  if (!plan_.components_in_turn || turn_of(component) == awake_) return;
  awake_ = turn_of(component);
  const auto goes = [&](BoundProgram& bound) {
    if (turn_of(bound.component()) == awake_) return false;
    bound.program().release_pages();
    return bound.program().memory().weights > kHeavyPacking;
  };
  std::erase_if(before_, [&](auto& entry) { return goes(*entry.second); });
  std::erase_if(steps_, [&](auto& entry) { return goes(*entry.second.program); });
  std::erase_if(vaes_, [&](auto& entry) { return goes(*entry.second.program); });
  std::erase_if(hints_, [&](auto& entry) { return goes(*entry.second.program); });
  std::erase_if(previews_, [&](auto& entry) { return goes(*entry.second.program); });
  backend_.trim();
}

}  // namespace inkstone
