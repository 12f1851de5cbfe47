#include "diffusion/memory_planner.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "diffusion/process.h"

namespace inkstone {
namespace {

// oneDNN's code and the kernels that it generates when it is used (measured: 14 to 21 MiB).
constexpr size_t kLibraryBytes = size_t{20} << 20;

std::string mebibytes(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f MiB", std::ceil(static_cast<double>(bytes) / (1 << 20)));
  return text;
}

size_t bytes_of(const Graph& graph, int id) { return bytes(graph.node(id).shape, graph.node(id).type); }

size_t outputs_bytes(const Graph& graph) {
  size_t sum = 0;
  for (const int id : graph.outputs()) sum += bytes_of(graph, id);
  return sum;
}

size_t sum_of(const Pipeline& pipeline, size_t (Weights::*bytes)() const) {
  size_t sum = 0;
  for (const Component& component : pipeline.components) sum += (component.weights.*bytes)();
  for (const Upscaler& upscaler : pipeline.upscalers) sum += (upscaler.weights().*bytes)();
  return sum;
}

Precision precision_of(const PlanOptions& options, const DeviceInfo& device) {
  const Precision usual = device.bf16 ? Precision::kBf16 : Precision::kFp32;
  return options.precision.value_or(device.precision.value_or(usual));
}

}  // namespace

// A plan that is being made, for one kind of request or for the extreme sizes of a capacity.
class MemoryPlanner::Draft {
 public:
  using Sizes = std::vector<std::pair<int, int>>;
  Draft(const MemoryPlanner& planner, const PlanKey& key, const Sizes& sizes, int jobs, bool capacity);
  bool fits() const { return !limited_ || plan_.peak_bytes <= limit_; }
  // Gives things up until the plan fits. Throws UsageError if it never does.
  EnginePlan climb();
  void take_choices_of(const EnginePlan& plan);  // takes over what `plan` gave up
  const EnginePlan& plan() const { return plan_; }

 private:
  // A stage and its graph for each size; one graph if it is the same for all sizes; none of upscalers.
  struct Sized {
    PipelineStage stage;
    std::vector<Graph> graphs;
  };
  void begin(const Graph& decoder);
  std::vector<PipelineStage> control_stages(const StageShape& step) const;
  bool takes_residuals() const;
  int features() const;
  size_t carried_by_controls(int jobs) const;
  void add(PipelineStage stage);
  void add_sized(size_t size, std::vector<PipelineStage> stages);
  size_t carried(int jobs) const;
  CompileOptions options_of(const Sized& sized) const;
  size_t weights_limit(const Sized& sized) const;
  MemoryUse use_of(const Sized& sized, size_t limit) const;
  MemoryUse use_of_upscalers() const;
  size_t measure();
  void give_up(bool& flag, bool allowed, const char* what);

  const MemoryPlanner& planner_;
  const PlanKey key_;
  const bool capacity_;
  const Sizes sizes_;  // for people: the first
  std::vector<Sized> stages_;
  EnginePlan plan_;
  size_t limit_ = 0;
  bool limited_ = false;
};

MemoryPlanner::Draft::Draft(const MemoryPlanner& planner, const PlanKey& key, const Sizes& sizes, int jobs,
                            bool capacity)
    : planner_(planner), key_(key), capacity_(capacity), sizes_(sizes) {
  const Pipeline& pipeline = planner.pipeline_;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto [width, height] = sizes[i];
    PipelineStage decoder = decode_stage(pipeline, width, height);
    if (i == 0) begin(decoder.graph);
    StageShape shape{
        jobs, key.guided ? 2 : 1, width, height, key.cached ? UnetPart::kFullKeepFeature : UnetPart::kFull, key.chunks};
    shape.residuals = takes_residuals();
    shape.features = features();
    PipelineStage step = step_stage(pipeline, shape, plan_.precision);
    // Programs that are compiled ahead may take fewer jobs at a time.
    while (shape.jobs > 1 && !planner.backend_.has(step.graph, {plan_.precision, plan_.attention_slicing})) {
      --shape.jobs;
      step = step_stage(pipeline, shape, plan_.precision);
    }
    std::vector<PipelineStage> sized = control_stages(shape);
    if (key.encodes) sized.push_back(encode_stage(pipeline, width, height));
    shape.part = UnetPart::kShallow;
    if (key.cached) sized.push_back(step_stage(pipeline, shape, plan_.precision));
    sized.push_back(std::move(step));
    if (pipeline.preview_vae) {
      PipelineStage preview = preview_stage(pipeline, width, height);
      if (planner.backend_.has(preview.graph, {plan_.precision})) sized.push_back(std::move(preview));
    }
    sized.push_back(std::move(decoder));
    add_sized(i, std::move(sized));
  }
  plan_.jobs = jobs;
  plan_.chunks = key.chunks;
  plan_.carried_bytes = carried(jobs);
  plan_.owned_bytes = planner.owned_bytes_;
  const size_t budget = planner.options_.memory_budget;
  limit_ = budget ? budget : plan_.program_bytes + planner.made_bytes_ + planner.memory_free_;
  limited_ = budget || planner.memory_free_;
  plan_.limit_bytes = limited_ ? limit_ : 0;
  measure();
}

void MemoryPlanner::Draft::begin(const Graph& decoder) {
  const PlanOptions& options = planner_.options_;
  const DeviceInfo device = planner_.backend_.info();
  const size_t program = options.program_bytes ? options.program_bytes : planner_.program_bytes_ + kLibraryBytes;
  plan_.program_bytes = device.own_memory ? 0 : program;
  plan_.precision = precision_of(options, device);
  INKSTONE_CHECK_USAGE(!device.precision || plan_.precision == *device.precision, "precision ",
                       name_of(plan_.precision), ": the compiled files are in ", name_of(*device.precision),
                       ": leave --precision out, or export with it");
  plan_.vae_tiling = options.vae_tiling == Choice::kOn ||
                     (options.vae_tiling == Choice::kAuto && !planner_.backend_.has(decoder, {plan_.precision}) &&
                      planner_.backend_.has(decoder, {plan_.precision, false, true}));
  plan_.attention_slicing = options.attention_slicing == Choice::kOn;
  for (PipelineStage& stage : stages_before_steps(planner_.pipeline_, plan_.precision, key_.controls))
    add(std::move(stage));
  if (key_.upscalers.empty()) return;
  add({kUpscalerStage, kUpscalerStage});
  stages_.back().graphs.clear();
}

void MemoryPlanner::Draft::add(PipelineStage stage) {
  plan_.stages.push_back({stage.component, stage.name, stage.position, stage.shares_packed, {}, SIZE_MAX});
  Sized& sized = stages_.emplace_back();
  sized.graphs.push_back(std::move(stage.graph));
  sized.stage = std::move(stage);
}

// Adds stages; for further sizes, only their graphs.
void MemoryPlanner::Draft::add_sized(size_t size, std::vector<PipelineStage> stages) {
  for (PipelineStage& stage : stages) {
    if (size == 0) {
      add(std::move(stage));
      continue;
    }
    const auto same = [&](const Sized& sized) { return sized.stage.name == stage.name; };
    std::ranges::find_if(stages_, same)->graphs.push_back(std::move(stage.graph));
  }
}

// Bytes of values that one program makes for another: those cached for later requests, and those of
// the jobs in flight.
size_t MemoryPlanner::Draft::carried(int jobs) const {
  const size_t rows = key_.guided ? 2 : 1;
  // held: what a job holds for one row.
  size_t sum = 0, held = 0;
  for (const Sized& sized : stages_) {
    if (sized.graphs.empty()) continue;
    if (sized.stage.control >= 0 && sized.stage.values.empty()) continue;  // carried_by_controls()
    size_t results = outputs_bytes(sized.graphs[0]);
    if (sized.stage.depends == DependsOn::kPrompt && sized.stage.position == StagePosition::kBeforeSteps)
      results *= static_cast<size_t>(key_.chunks);
    sum += sized.stage.results_kept * results;
    if (sized.stage.held_by_jobs) held += results;
    // The cached feature twice: the job's own, and the program's output.
    if (sized.stage.name == "unet" && key_.cached)
      sum += 2 * bytes_of(sized.graphs[0], sized.graphs[0].outputs().back());
  }
  sum += rows * held + carried_by_controls(capacity_ ? jobs : 1);
  // Copies of the conditional half, for programs without guidance.
  if (key_.partly_guided) sum += held;
  if (!capacity_) return sum;
  sum += static_cast<size_t>(Capacity::kJobsWithCrossKv * jobs - 1) * rows * held;
  if (jobs > 1) sum += static_cast<size_t>(jobs) * rows * held;  // as a call's inputs
  size_t pixels = 0;
  for (const Graph& graph : stages_.back().graphs) pixels = std::max(pixels, outputs_bytes(graph));
  return sum + (kDecodersKept + (planner_.pipeline_.preview_vae ? kPreviewDecodersKept : 0)) * pixels;
}

bool MemoryPlanner::Draft::takes_residuals() const {
  return std::ranges::any_of(key_.controls, [&](int control) {
    return planner_.pipeline_.traits.controls.at(static_cast<size_t>(control)).features == 0;
  });
}

int MemoryPlanner::Draft::features() const {
  int most = 0;
  for (const int control : key_.controls)
    most = std::max(most, planner_.pipeline_.traits.controls.at(static_cast<size_t>(control)).features);
  return most;
}

// Each for one job at a time.
std::vector<PipelineStage> MemoryPlanner::Draft::control_stages(const StageShape& step) const {
  std::vector<PipelineStage> stages;
  const Pipeline& pipeline = planner_.pipeline_;
  for (const int control : key_.controls) {
    const int multiple = pipeline.traits.controls.at(static_cast<size_t>(control)).size_multiple;
    const auto taken = [&](int side) { return std::max(side / multiple, 1) * multiple; };
    stages.push_back(hint_stage(pipeline, control, taken(step.width), taken(step.height)));
    if (!pipeline.controls.at(static_cast<size_t>(control)).net()) continue;
    StageShape shape = step;
    shape.jobs = 1;
    shape.residuals = false;
    shape.features = 0;
    shape.control = control;
    stages.push_back(step_stage(pipeline, shape, plan_.precision));
    shape.adds = true;
    if (key_.several_nets) stages.push_back(step_stage(pipeline, shape, plan_.precision));
  }
  return stages;
}

// What jobs have read of their pictures; the residuals, of one job at a time: two sets of them where there are several
// ControlNets; and what a step of several jobs takes of both.
size_t MemoryPlanner::Draft::carried_by_controls(int jobs) const {
  size_t held = 0, residuals = 0, features = 0;
  const auto of = [](const Sized& sized) {
    size_t most = 0;
    for (const Graph& graph : sized.graphs) most = std::max(most, outputs_bytes(graph));
    return most;
  };
  for (const Sized& sized : stages_) {
    if (sized.stage.control < 0 || !sized.stage.values.empty()) continue;
    const bool each_step = sized.stage.position == StagePosition::kEachStep;
    const bool net = planner_.pipeline_.controls.at(static_cast<size_t>(sized.stage.control)).net() != nullptr;
    if (each_step) residuals = std::max(residuals, of(sized));
    if (!each_step) held += of(sized);
    if (!each_step && !net) features = std::max(features, of(sized));
  }
  const auto in_flight = static_cast<size_t>(capacity_ ? Capacity::kJobsWithCrossKv * jobs : 1);
  const size_t inputs = jobs > 1 ? static_cast<size_t>(jobs) * (residuals + features) : 0;
  return in_flight * (held + 2 * features) + (key_.several_nets ? 2 : 1) * residuals + inputs;
}

CompileOptions MemoryPlanner::Draft::options_of(const Sized& sized) const {
  return {plan_.precision, plan_.attention_slicing, sized.stage.takes_tiling && plan_.vae_tiling};
}

// How many bytes of its weights a stage may keep, if weights pass through memory. Those of stages that
// run once for an image pass, and those of a stage that shares another's; the others keep as many as
// fit beside the work memory of the largest size.
size_t MemoryPlanner::Draft::weights_limit(const Sized& sized) const {
  if (!plan_.weight_streaming) return SIZE_MAX;
  const bool is_unet_or_vae = sized.stage.control < 0 && sized.stage.position != StagePosition::kBeforeSteps;
  if (sized.stage.shares_packed || !is_unet_or_vae) return 0;
  const Weights& weights = planner_.pipeline_.component(sized.stage.component).weights;
  size_t work = 0;
  for (const Graph& graph : sized.graphs)
    work = std::max(work, planner_.backend_.plan(graph, weights, options_of(sized)).work());
  // A turn's programs are resident together. The others of it come first in the plan, but for the small one that
  // decodes previews.
  size_t besides = plan_.program_bytes + plan_.carried_bytes + plan_.owned_bytes + work;
  for (const PlannedStage& other : plan_.stages)
    if (turn_of(other.component) == turn_of(sized.stage.component) && other.name != sized.stage.name)
      besides += other.shares_packed ? other.use.mapped : other.use.weights;
  return limit_ > besides ? limit_ - besides : 0;
}

// The most of any size.
MemoryUse MemoryPlanner::Draft::use_of(const Sized& sized, size_t limit) const {
  if (sized.graphs.empty()) return use_of_upscalers();
  const Weights& weights = planner_.pipeline_.component(sized.stage.component).weights;
  CompileOptions options = options_of(sized);
  options.weights_limit = limit;
  MemoryUse most;
  for (const Graph& graph : sized.graphs) {
    const MemoryUse use = planner_.backend_.plan(graph, weights, options);
    most.weights = std::max(most.weights, use.weights);
    most.mapped = std::max(most.mapped, use.mapped);
    if (use.work() <= most.work()) continue;
    most.arena = use.arena;
    most.scratch = use.scratch;
  }
  return most;
}

// The most of any and of any size. Nothing of them stays: what they pack, and their maps, are memory of this stage alone.
MemoryUse MemoryPlanner::Draft::use_of_upscalers() const {
  MemoryUse most;
  for (const int number : key_.upscalers)
    for (const auto& [width, height] : key_.upscaled.first ? Sizes{key_.upscaled} : sizes_) {
      const Upscaler& upscaler = planner_.pipeline_.upscalers.at(static_cast<size_t>(number));
      if (!upscaler.runs_on(planner_.backend_, width, height)) continue;
      const UpscalePlan plan = upscaler.measure(planner_.backend_, width, height, {planner_.options_.precision},
                                                plan_.upscaler_bands ? Upscaler::kLowestBands : 0);
      const size_t owned = planner_.backend_.info().own_memory ? 0 : upscaler.weights().owned_bytes();
      const MemoryUse use{0, plan.weights_bytes, plan.peak_bytes - plan.weights_bytes - owned, 0};
      if (use.total() > most.total()) most = use;
    }
  return most;
}

size_t MemoryPlanner::Draft::measure() {
  for (size_t i = 0; i < stages_.size(); ++i) {
    plan_.stages[i].weights_limit = weights_limit(stages_[i]);
    plan_.stages[i].use = use_of(stages_[i], plan_.stages[i].weights_limit);
  }
  return plan_.peak_bytes = peak_of(plan_);
}

// A choice is kept only if it saves memory.
void MemoryPlanner::Draft::give_up(bool& flag, bool allowed, const char* what) {
  if (fits() || flag || !allowed) return;
  const size_t before = plan_.peak_bytes;
  flag = true;
  if (measure() < before)
    return plan_.reasons.push_back(std::string(what) + ": saves " + mebibytes(before - plan_.peak_bytes));
  flag = false;
  measure();
}

EnginePlan MemoryPlanner::Draft::climb() {
  const PlanOptions& options = planner_.options_;
  // What each costs was measured on SD 1.5: docs/performance.md.
  // What saved nothing may save something after another thing was given up.
  for (size_t given = SIZE_MAX; !fits() && plan_.reasons.size() != given;) {
    given = plan_.reasons.size();
    give_up(plan_.components_in_turn, true, "text encoder, U-Net and VAE take turns in memory (under 1 % slower)");
    give_up(
        plan_.weight_streaming, true,
        "weights that do not fit pass through memory in every step (about 3 % slower while the system still caches the "
        "model's files; at the disk's speed otherwise)");
    give_up(plan_.vae_tiling,
            options.vae_tiling == Choice::kAuto &&
                planner_.backend_.has(stages_.back().graphs[0], {plan_.precision, plan_.attention_slicing, true}),
            "the VAE works in row bands (same image, VAE 5 to 20 % slower)");
    give_up(plan_.attention_slicing, options.attention_slicing == Choice::kAuto,
            "attention works on one head at a time (same image)");
    give_up(plan_.upscaler_bands, !key_.upscalers.empty(),
            "the upscaler works in low row bands (same image, upscaling up to 10 % slower)");
  }
  INKSTONE_CHECK_USAGE(fits(), options.memory_budget ? "a memory budget of " : "the free memory of ", mebibytes(limit_),
                       " is too small for ", sizes_.at(0).first, "x", sizes_.at(0).second, ": the least that works is ",
                       mebibytes(plan_.peak_bytes),
                       options.vae_tiling == Choice::kOff || options.attention_slicing == Choice::kOff
                           ? " with --vae-tiling and --attention-slicing as given"
                           : "",
                       "; a smaller image needs less");
  return plan_;
}

void MemoryPlanner::Draft::take_choices_of(const EnginePlan& plan) {
  plan_.components_in_turn = plan.components_in_turn;
  plan_.weight_streaming = plan.weight_streaming;
  plan_.vae_tiling = plan.vae_tiling;
  plan_.attention_slicing = plan.attention_slicing;
  plan_.upscaler_bands = plan.upscaler_bands;
  plan_.reasons = plan.reasons;
  measure();
}

RequestLimits Capacity::limits() const {
  RequestLimits limits;
  limits.max_side = std::min(limits.max_side, max_side);
  limits.max_pixels = max_pixels;
  limits.approximations = false;
  return limits;
}

MemoryPlanner::MemoryPlanner(const Pipeline& pipeline, Backend& backend, PlanOptions options)
    : pipeline_(pipeline),
      backend_(backend),
      options_(std::move(options)),
      owned_bytes_(backend.info().own_memory ? 0 : sum_of(pipeline, &Weights::owned_bytes)),
      made_bytes_(backend.info().own_memory ? 0 : sum_of(pipeline, &Weights::made_bytes)),
      program_bytes_(backend.info().own_memory ? 0 : resident_bytes() - std::min(resident_bytes(), made_bytes_)),
      memory_free_(backend.info().memory_free) {}

void MemoryPlanner::set_budget(size_t bytes) {
  options_.memory_budget = bytes;
  plans_.clear();
}

const EnginePlan& MemoryPlanner::plan(const PlanKey& key) {
  if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
  return plans_[key] = Draft(*this, key, {{key.width, key.height}}, 1, false).climb();
}

// The sizes that need most memory: the one of most pixels (of several, the nearest to a square), the
// widest and the highest image. Others need up to 3 % more work memory (measured): the U-Net's
// halves of an odd size are rounded up, and the VAE's bands are uneven. If programs are compiled
// ahead and there are none for these sizes, the model's own size.
std::vector<std::pair<int, int>> MemoryPlanner::extreme_sizes(const Capacity& capacity) const {
  const int multiple = pipeline_.traits.size_multiple, side = capacity.max_side / multiple * multiple;
  const auto down = [&](int64_t pixels) {
    return static_cast<int>(std::min<int64_t>(pixels, side)) / multiple * multiple;
  };
  INKSTONE_CHECK_USAGE(side >= multiple && side <= kMaxImageSide && capacity.max_pixels >= int64_t{multiple} * multiple,
                       "an image of at most ", capacity.max_pixels, " pixels and ", capacity.max_side,
                       " a side: this model's are at least ", multiple, "x", multiple, ", and at most ", kMaxImageSide,
                       " a side");
  const int square = down(static_cast<int64_t>(std::sqrt(static_cast<double>(capacity.max_pixels))));
  const int narrow = std::max(down(capacity.max_pixels / side), multiple);
  std::vector<std::pair<int, int>> sizes{{square, square}};
  for (int height = square; height >= narrow; height -= multiple) {
    const int width = down(capacity.max_pixels / height);
    if (int64_t{width} * height > int64_t{sizes[0].first} * sizes[0].second) sizes[0] = {width, height};
  }
  if (narrow < square) sizes.insert(sizes.end(), {{side, narrow}, {narrow, side}});
  const Precision precision = this->precision();
  const int cfg_copies = pipeline_.traits.distilled ? 1 : 2;
  std::erase_if(sizes, [&](const auto& size) {
    return !backend_.has(step_stage(pipeline_, {1, cfg_copies, size.first, size.second}, precision).graph, {precision});
  });
  if (sizes.empty()) sizes.emplace_back(pipeline_.traits.width, pipeline_.traits.height);
  return sizes;
}

// Fewer than asked for where programs are compiled ahead, and there are none for longer prompts.
int MemoryPlanner::chunks_that_run(const Capacity& capacity, std::pair<int, int> size) const {
  StageShape shape{1, pipeline_.traits.distilled ? 1 : 2, size.first, size.second};
  for (shape.chunks = capacity.prompt_chunks; shape.chunks > 1; --shape.chunks)
    if (backend_.has(step_stage(pipeline_, shape, precision()).graph, {precision()})) break;
  return shape.chunks;
}

bool MemoryPlanner::encodes(std::pair<int, int> size) const {
  return pipeline_.traits.encodes &&
         backend_.has(encode_stage(pipeline_, size.first, size.second).graph, {precision()});
}

bool MemoryPlanner::upscales(int upscaler, std::pair<int, int> size) const {
  return pipeline_.upscalers.at(static_cast<size_t>(upscaler)).runs_on(backend_, size.first, size.second);
}

Precision MemoryPlanner::precision() const { return precision_of(options_, backend_.info()); }

// Takes fewer jobs in a step before it gives up anything that makes a step slower.
EnginePlan MemoryPlanner::reserve(const Capacity& capacity) {
  INKSTONE_CHECK_USAGE(capacity.jobs >= 1, "a step of ", capacity.jobs, " jobs");
  PlanKey key{capacity.max_side, capacity.max_side, !pipeline_.traits.distilled};
  for (size_t i = 0; i < pipeline_.controls.size(); ++i) key.controls.push_back(static_cast<int>(i));
  key.several_nets = !pipeline_.controls.empty();
  const std::vector<std::pair<int, int>> sizes = extreme_sizes(capacity);
  key.chunks = chunks_that_run(capacity, sizes[0]);
  key.encodes = encodes(sizes[0]);
  for (size_t i = 0; i < pipeline_.upscalers.size(); ++i) key.upscalers.push_back(static_cast<int>(i));
  Draft one(*this, key, sizes, 1, true);
  const EnginePlan least = one.climb();
  const auto planned = [&](int jobs) {
    Draft draft(*this, key, sizes, jobs, true);
    draft.take_choices_of(least);
    return draft.fits() ? std::optional(draft.plan()) : std::nullopt;
  };
  EnginePlan chosen = least;
  for (int low = 1, high = capacity.jobs; low < high;) {
    const int middle = (low + high + 1) / 2;
    if (std::optional<EnginePlan> more = planned(middle))
      low = middle, chosen = std::move(*more);
    else
      high = middle - 1;
  }
  if (chosen.jobs < capacity.jobs)
    chosen.reasons.push_back("a step takes " + std::to_string(chosen.jobs) + " images at a time, not " +
                             std::to_string(capacity.jobs) + ": more memory, or a smaller largest image, allows more");
  return chosen;
}

}  // namespace inkstone
