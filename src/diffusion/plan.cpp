// Whether a request can run, and what is given up for it to fit: decided before anything is packed or run.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "diffusion/engine.h"
#include "models/clip.h"
#include "models/vae.h"

namespace inkstone {
namespace {

constexpr int kMostPixels = 16384;  // a side
constexpr int kMostSteps = 1000;
constexpr float kMostGuidance = 1000;
constexpr size_t kLibraryBytes =
    size_t{20} << 20;  // oneDNN's code and the kernels that it generates, once used (seen: 14 to 21 MiB)

std::string mebibytes(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f MiB", std::ceil(static_cast<double>(bytes) / (1 << 20)));
  return text;
}

void check_side(const char* name, int pixels, int multiple) {
  const int below = pixels / multiple * multiple, above = below + multiple;
  INKSTONE_CHECK_USAGE(pixels > 0 && pixels <= kMostPixels, name, " ", pixels, " is not between ", multiple, " and ",
                       kMostPixels);
  INKSTONE_CHECK_USAGE(pixels % multiple == 0, name, " ", pixels, " is not a multiple of ", multiple,
                       ", which this model needs: try ", below ? std::to_string(below) + " or " : "", above);
}

size_t bytes_of(const Graph& graph, int id) { return bytes(graph.node(id).shape, graph.node(id).type); }

size_t outputs_bytes(const Graph& graph) {
  size_t sum = 0;
  for (const int id : graph.outputs()) sum += bytes_of(graph, id);
  return sum;
}

// All programs work in the same bytes. What the text encoder and the parts before the steps read is given back as soon as they
// ran, and they run when the VAE's pages and the work memory are given back. When components take turns, so do the U-Net's.
size_t peak_of(const EnginePlan& plan) {
  const MemoryUse &text = plan.text_encoder, &prompt = plan.prompt, &time = plan.time, &vae = plan.vae;
  MemoryUse unet =
      plan.unet;  // the shallow part's packed weights are among its own, and so are the pages that may stay
  if (plan.weight_streaming) unet.mapped += plan.shallow.mapped;
  const size_t unet_work = std::max(unet.work(), plan.shallow.work());
  const auto in_use = [](const MemoryUse& use) { return use.mapped + use.work(); };
  const size_t before = std::max(in_use(prompt), in_use(time)), always = plan.program_bytes + plan.carried_bytes,
               parts = prompt.weights + time.weights;
  if (plan.components_in_turn)
    return always +
           std::max({text.total(), parts + unet.weights + std::max(before, unet.mapped + unet_work), vae.total()});
  return always + text.weights + parts + unet.weights + vae.weights + unet.mapped +
         std::max({in_use(text), before, vae.mapped + std::max(unet_work, vae.work())});
}

}  // namespace

void Engine::check(const Request& request) const {
  const int multiple = model_.size_multiple();
  check_side("width", request.width, multiple);
  check_side("height", request.height, multiple);
  INKSTONE_CHECK_USAGE(request.steps >= 1 && request.steps <= kMostSteps, "steps ", request.steps,
                       " is not between 1 and ", kMostSteps);
  INKSTONE_CHECK_USAGE(request.guidance >= 0 && request.guidance <= kMostGuidance, "guidance ", request.guidance,
                       " is not between 0 and ", kMostGuidance);
  INKSTONE_CHECK_USAGE(request.cache_interval >= 1 && request.cache_interval <= kMostSteps, "cache interval ",
                       request.cache_interval, " is not between 1 (every U-Net call is whole) and ", kMostSteps);
  check_guidance_interval(request);
  check_capacity(request);
}

void Engine::check_guidance_interval(const Request& request) const {
  if (request.guidance_interval == Interval{}) return;
  const auto [from, to] = request.guidance_interval;
  INKSTONE_CHECK_USAGE(from >= 0 && from <= to && to <= 1, "guidance interval ", from, ",", to,
                       ": it must be FROM,TO with 0 <= FROM <= TO <= 1, such as 0.1,0.8");
  INKSTONE_CHECK_USAGE(!distilled(), "guidance interval ", from, ",", to,
                       ": this model was distilled with guidance and has it in every call: leave the interval out");
  INKSTONE_CHECK_USAGE(guided(request), "guidance interval ", from, ",", to, ": there is none with guidance ",
                       request.guidance, ": ask for more than 1, or leave the interval out");
}

void Engine::set_memory_budget(size_t bytes) {
  capacity_.reset();
  options_.memory_budget = bytes;
  plans_.clear();
}

EnginePlan Engine::plan(int width, int height, bool guided) const {
  return plan(Demand{width, height, guided && !distilled()});
}

EnginePlan Engine::plan(const Request& request) const {
  return plan(Demand{request.width, request.height, guided(request), request.cache_interval > 1,
                     request.guidance_interval != Interval{}});
}

// The policy, for one kind of request or for a capacity's extremes.
class Engine::Planner {
 public:
  Planner(const Engine& engine, const Demand& demand, const std::vector<std::pair<int, int>>& sizes, int jobs);
  bool fits() const { return !limited_ || plan_.peak_bytes <= limit_; }
  EnginePlan climb();                          // gives up what must be; throws UsageError where that is not enough
  void take_rungs_of(const EnginePlan& plan);  // what it gave up
  const EnginePlan& plan() const { return plan_; }

 private:
  struct Sized {  // its graphs
    Graph vae, step, shallow;
  };
  void begin(const Graph& vae);
  size_t carried(int jobs) const;
  MemoryUse use_of(const Graph& graph, const Weights& weights, bool tiled, size_t most_mapped = SIZE_MAX) const;
  MemoryUse most_of(Graph Sized::*graph, const Weights& weights, bool tiled, size_t most_mapped = SIZE_MAX) const;
  size_t measure();
  void give_up(bool& flag, bool allowed, const char* what);

  const Engine& engine_;
  const Demand demand_;
  std::pair<int, int> size_;  // for people: the first
  Graph text_, prompt_, time_;
  std::vector<Sized> sized_;
  EnginePlan plan_;
  size_t limit_;
  bool limited_;
};

Engine::Planner::Planner(const Engine& engine, const Demand& demand, const std::vector<std::pair<int, int>>& sizes,
                         int jobs)
    : engine_(engine), demand_(demand), size_(sizes.at(0)), text_(clip_graph(engine.model_.clip_config, 1)) {
  const int scale = engine.model_.vae_scale(), copies = demand.guided ? 2 : 1;
  const UnetPart whole = demand.cached ? UnetPart::kWholeAndDeep : UnetPart::kWhole;
  for (const auto& [width, height] : sizes) {
    Sized& sized = sized_.emplace_back();
    sized.vae = vae_decoder_graph(engine.model_.vae_config, 1, height / scale, width / scale);
    if (sized_.size() == 1) begin(sized.vae);
    Key key{jobs, copies, width, height, whole};  // compiled ahead there may be fewer at a time
    UnetParts unet = engine.unet_parts(key, plan_.precision);
    while (key.jobs > 1 && !engine.backend_->has(unet.step, {plan_.precision, plan_.attention_slicing})) {
      --key.jobs;
      unet = engine.unet_parts(key, plan_.precision);
    }
    sized.step = std::move(unet.step);
    key.part = UnetPart::kShallow;
    if (demand.cached) sized.shallow = engine.unet_parts(key, plan_.precision).step;
    prompt_ = std::move(unet.prompt);
    time_ = std::move(unet.time);
  }
  plan_.jobs = jobs;
  plan_.carried_bytes = carried(jobs);
  limit_ = engine.options_.memory_budget ? engine.options_.memory_budget : plan_.program_bytes + engine.memory_free_;
  limited_ = engine.options_.memory_budget || engine.memory_free_;
  measure();
}

void Engine::Planner::begin(const Graph& vae) {
  const EngineOptions& options = engine_.options_;
  Backend& backend = *engine_.backend_;
  const DeviceInfo device = backend.info();
  plan_.program_bytes = device.own_memory ? 0 : engine_.program_bytes_ + kLibraryBytes;
  const Precision usual = device.bf16 ? Precision::kBf16 : Precision::kFp32;
  plan_.precision = options.precision.value_or(device.precision.value_or(usual));
  INKSTONE_CHECK_USAGE(!device.precision || plan_.precision == *device.precision, "precision ",
                       name_of(plan_.precision), ": the compiled files are in ", name_of(*device.precision),
                       ": leave --precision out, or export with it");
  plan_.vae_tiling = options.vae_tiling == Choice::kOn ||
                     (options.vae_tiling == Choice::kAuto && !backend.has(vae, {plan_.precision}) &&
                      backend.has(vae, {plan_.precision, false, true}));
  plan_.attention_slicing = options.attention_slicing == Choice::kOn;
}

// What one program makes for another: kept for the next requests, and of the jobs in flight.
size_t Engine::Planner::carried(int jobs) const {
  const size_t rows = demand_.guided ? 2 : 1, keys = outputs_bytes(prompt_);
  size_t sum = kTextsKept * outputs_bytes(text_) + (kKeysKept + rows) * keys + kTimesKept * outputs_bytes(time_);
  // The job's deep feature, and as the program gave it. The conditional halves, for the programs of calls without the other.
  if (demand_.cached) sum += 2 * bytes_of(sized_[0].step, sized_[0].step.outputs().back());
  if (demand_.partly_guided) sum += keys;
  if (!demand_.capacity) return sum;
  sum += static_cast<size_t>(Capacity::kKeyedJobs * jobs - 1) * rows * keys;
  if (jobs > 1) sum += static_cast<size_t>(jobs) * rows * keys;  // as a call's inputs
  size_t pixels = 0;
  for (const Sized& sized : sized_) pixels = std::max(pixels, outputs_bytes(sized.vae));
  return sum + kVaesKept * pixels;
}

MemoryUse Engine::Planner::use_of(const Graph& graph, const Weights& weights, bool tiled, size_t most_mapped) const {
  CompileOptions options{plan_.precision, plan_.attention_slicing, tiled};
  const MemoryUse all = engine_.backend_->plan(graph, weights, options);
  if (!plan_.weight_streaming) return all;
  // The U-Net's programs are there together; what they pack was measured before any weight passes.
  const size_t packed = &weights == &engine_.model_.unet
                            ? plan_.prompt.weights + plan_.time.weights + plan_.unet.weights + plan_.shallow.mapped
                            : all.weights;
  const size_t besides = plan_.program_bytes + plan_.carried_bytes + packed + all.work();
  options.mapped_limit = std::min(most_mapped, limit_ > besides ? limit_ - besides : 0);
  return engine_.backend_->plan(graph, weights, options);
}

// Weights that pass through memory stay as far as they may beside the largest size's work.
MemoryUse Engine::Planner::most_of(Graph Sized::*graph, const Weights& weights, bool tiled, size_t most_mapped) const {
  MemoryUse most = use_of(sized_[0].*graph, weights, tiled, most_mapped);
  for (size_t i = 1; i < sized_.size(); ++i) {
    const MemoryUse other = use_of(sized_[i].*graph, weights, tiled, most_mapped);
    most.weights = std::max(most.weights, other.weights);
    most.mapped = plan_.weight_streaming ? std::min(most.mapped, other.mapped) : std::max(most.mapped, other.mapped);
    if (other.work() <= most.work()) continue;
    most.arena = other.arena;
    most.scratch = other.scratch;
  }
  return most;
}

size_t Engine::Planner::measure() {
  const Model& model = engine_.model_;
  plan_.text_encoder = use_of(text_, model.clip, false);
  plan_.prompt = use_of(prompt_, model.unet, false);
  plan_.time = use_of(time_, model.unet, false);
  // Where weights pass through memory, all of its own do: those of the whole U-Net stay as far as they may.
  if (demand_.cached) plan_.shallow = most_of(&Sized::shallow, model.unet, false, 0);
  plan_.unet = most_of(&Sized::step, model.unet, false);
  plan_.vae = most_of(&Sized::vae, model.vae, plan_.vae_tiling);
  return plan_.peak_bytes = peak_of(plan_);
}

// Each rung is kept only where it saves memory.
void Engine::Planner::give_up(bool& flag, bool allowed, const char* what) {
  if (fits() || flag || !allowed) return;
  const size_t before = plan_.peak_bytes;
  flag = true;
  if (measure() < before)
    return plan_.reasons.push_back(std::string(what) + ": saves " + mebibytes(before - plan_.peak_bytes));
  flag = false;
  measure();
}

EnginePlan Engine::Planner::climb() {
  const EngineOptions& options = engine_.options_;
  // What each costs was measured on SD 1.5: docs/performance.md.
  give_up(plan_.components_in_turn, true, "text encoder, U-Net and VAE take turns in memory (under 1 % slower)");
  give_up(
      plan_.weight_streaming, true,
      "weights that do not fit pass through memory in every step (about 3 % slower while the system still caches the "
      "model's files; at the disk's speed otherwise)");
  give_up(plan_.vae_tiling,
          options.vae_tiling == Choice::kAuto &&
              engine_.backend_->has(sized_[0].vae, {plan_.precision, plan_.attention_slicing, true}),
          "the VAE works in row bands (same picture, VAE 5 to 20 % slower)");
  give_up(plan_.attention_slicing, options.attention_slicing == Choice::kAuto,
          "attention works on one head at a time (same picture)");
  INKSTONE_CHECK_USAGE(fits(), options.memory_budget ? "a memory budget of " : "the free memory of ", mebibytes(limit_),
                       " is too small for ", size_.first, "x", size_.second, ": the least that works is ",
                       mebibytes(plan_.peak_bytes),
                       options.vae_tiling == Choice::kOff || options.attention_slicing == Choice::kOff
                           ? " with --vae-tiling and --attention-slicing as given"
                           : "",
                       "; a smaller picture needs less");
  return plan_;
}

void Engine::Planner::take_rungs_of(const EnginePlan& plan) {
  plan_.components_in_turn = plan.components_in_turn;
  plan_.weight_streaming = plan.weight_streaming;
  plan_.vae_tiling = plan.vae_tiling;
  plan_.attention_slicing = plan.attention_slicing;
  plan_.reasons = plan.reasons;
  measure();
}

EnginePlan Engine::plan(const Demand& demand) const {
  if (capacity_) return plan_;
  if (const auto found = plans_.find(demand); found != plans_.end()) return found->second;
  return plans_[demand] = Planner(*this, demand, {{demand.width, demand.height}}, 1).climb();
}

// A capacity: one plan for whatever a server's clients ask.

// The shapes that need the most: square, and as wide and as high as may be, of the most pixels. Where programs are compiled ahead
// and there are none for these, the model's own size.
std::vector<std::pair<int, int>> Engine::extreme_sizes(const Capacity& capacity) const {
  const int multiple = model_.size_multiple(), side = capacity.most_side / multiple * multiple;
  const auto down = [&](int64_t pixels) {
    return static_cast<int>(std::min<int64_t>(pixels, side)) / multiple * multiple;
  };
  INKSTONE_CHECK_USAGE(side >= multiple && side <= kMostPixels && capacity.most_pixels >= int64_t{multiple} * multiple,
                       "a picture of at most ", capacity.most_pixels, " pixels and ", capacity.most_side,
                       " a side: this model's are at least ", multiple, "x", multiple, ", and at most ", kMostPixels,
                       " a side");
  const int square = down(static_cast<int64_t>(std::sqrt(static_cast<double>(capacity.most_pixels))));
  const int narrow = std::max(down(capacity.most_pixels / side), multiple);
  std::vector<std::pair<int, int>> sizes{{square, square}};
  if (narrow < square) sizes.insert(sizes.end(), {{side, narrow}, {narrow, side}});
  const Precision precision = options_.precision.value_or(
      backend_->info().precision.value_or(backend_->info().bf16 ? Precision::kBf16 : Precision::kFp32));
  const int copies = distilled() ? 1 : 2;
  std::erase_if(sizes, [&](const auto& size) {
    return !backend_->has(unet_parts({1, copies, size.first, size.second}, precision).step, {precision});
  });
  if (sizes.empty()) sizes.emplace_back(model_.defaults.width, model_.defaults.height);
  return sizes;
}

// Fewer jobs in a call before anything that makes a step slower.
const EnginePlan& Engine::reserve(const Capacity& capacity) {
  INKSTONE_CHECK_USAGE(capacity.jobs >= 1, "a step of ", capacity.jobs, " jobs");
  capacity_.reset();
  Demand demand{capacity.most_side, capacity.most_side, !distilled()};
  demand.capacity = true;
  const std::vector<std::pair<int, int>> sizes = extreme_sizes(capacity);
  Planner one(*this, demand, sizes, 1);
  const EnginePlan least = one.climb();
  const auto planned = [&](int jobs) {
    Planner planner(*this, demand, sizes, jobs);
    planner.take_rungs_of(least);
    return planner.fits() ? std::optional(planner.plan()) : std::nullopt;
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
    chosen.reasons.push_back("a step takes " + std::to_string(chosen.jobs) + " pictures at a time, not " +
                             std::to_string(capacity.jobs) +
                             ": more memory, or a smaller largest picture, allows more");
  adopt(std::move(chosen));
  capacity_ = capacity;
  return plan_;
}

void Engine::check_capacity(const Request& request) const {
  if (!capacity_) return;
  const int64_t pixels = int64_t{request.width} * request.height;
  INKSTONE_CHECK_USAGE(std::max(request.width, request.height) <= capacity_->most_side, request.width, "x",
                       request.height, ": a side has at most ", capacity_->most_side, " pixels here");
  INKSTONE_CHECK_USAGE(pixels <= capacity_->most_pixels, request.width, "x", request.height, ": a picture of ", pixels,
                       " pixels, and at most ", capacity_->most_pixels, " are taken here: ask for a smaller one");
  INKSTONE_CHECK_USAGE(request.cache_interval == 1 && request.guidance_interval == Interval{},
                       "approximations: none are taken here, because the memory was planned without them");
}

}  // namespace inkstone
