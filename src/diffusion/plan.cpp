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

EnginePlan Engine::plan(const Demand& demand) const {
  if (const auto found = plans_.find(demand); found != plans_.end()) return found->second;
  const int width = demand.width, height = demand.height, scale = model_.vae_scale(), rows = demand.guided ? 2 : 1;
  const Graph text = clip_graph(model_.clip_config, 1);
  const Graph vae = vae_decoder_graph(model_.vae_config, 1, height / scale, width / scale);

  EnginePlan plan;
  const DeviceInfo device = backend_->info();
  plan.program_bytes = device.own_memory ? 0 : program_bytes_ + kLibraryBytes;
  const Precision usual = device.bf16 ? Precision::kBf16 : Precision::kFp32;
  plan.precision = options_.precision.value_or(device.precision.value_or(usual));
  INKSTONE_CHECK_USAGE(!device.precision || plan.precision == *device.precision, "precision ", name_of(plan.precision),
                       ": the compiled files are in ", name_of(*device.precision),
                       ": leave --precision out, or export with it");
  plan.vae_tiling = options_.vae_tiling == Choice::kOn ||
                    (options_.vae_tiling == Choice::kAuto && !backend_->has(vae, {plan.precision}) &&
                     backend_->has(vae, {plan.precision, false, true}));
  plan.attention_slicing = options_.attention_slicing == Choice::kOn;
  const UnetPart whole = demand.cached ? UnetPart::kWholeAndDeep : UnetPart::kWhole;
  const UnetParts unet = unet_parts({1, rows, width, height, whole}, plan.precision);
  const Graph shallow =
      demand.cached ? unet_parts({1, rows, width, height, UnetPart::kShallow}, plan.precision).step : Graph();
  plan.carried_bytes = kTextsKept * outputs_bytes(text) +
                       (kKeysKept + static_cast<size_t>(rows)) * outputs_bytes(unet.prompt) +
                       kTimesKept * outputs_bytes(unet.time);
  // The job's deep feature, and as the program gave it. The conditional halves, for the programs of calls without the other.
  if (demand.cached) plan.carried_bytes += 2 * bytes_of(unet.step, unet.step.outputs().back());
  if (demand.partly_guided) plan.carried_bytes += outputs_bytes(unet.prompt);
  const size_t limit = options_.memory_budget ? options_.memory_budget : plan.program_bytes + memory_free_;
  const bool limited = options_.memory_budget || memory_free_;
  const auto use_of = [&](const Graph& graph, const Weights& weights, bool tiled, size_t most_mapped = SIZE_MAX) {
    CompileOptions options{plan.precision, plan.attention_slicing, tiled};
    const MemoryUse all = backend_->plan(graph, weights, options);
    if (!plan.weight_streaming) return all;
    // The U-Net's programs are there together; what they pack was measured before any weight passes.
    const size_t packed = &weights == &model_.unet
                              ? plan.prompt.weights + plan.time.weights + plan.unet.weights + plan.shallow.mapped
                              : all.weights;
    const size_t besides = plan.program_bytes + plan.carried_bytes + packed + all.work();
    options.mapped_limit = std::min(most_mapped, limit > besides ? limit - besides : 0);
    return backend_->plan(graph, weights, options);
  };
  const auto measure = [&] {
    plan.text_encoder = use_of(text, model_.clip, false);
    plan.prompt = use_of(unet.prompt, model_.unet, false);
    plan.time = use_of(unet.time, model_.unet, false);
    // Where weights pass through memory, all of its own do: those of the whole U-Net stay as far as they may.
    if (demand.cached) plan.shallow = use_of(shallow, model_.unet, false, 0);
    plan.unet = use_of(unet.step, model_.unet, false);
    plan.vae = use_of(vae, model_.vae, plan.vae_tiling);
    return plan.peak_bytes = peak_of(plan);
  };
  const auto fits = [&] { return !limited || plan.peak_bytes <= limit; };
  measure();
  // Each rung is kept only where it saves memory.
  const auto give_up = [&](bool& flag, bool allowed, const char* what) {
    if (fits() || flag || !allowed) return;
    const size_t before = plan.peak_bytes;
    flag = true;
    if (measure() < before)
      return plan.reasons.push_back(std::string(what) + ": saves " + mebibytes(before - plan.peak_bytes));
    flag = false;
    measure();
  };
  // What each costs was measured on SD 1.5: docs/performance.md.
  give_up(plan.components_in_turn, true, "text encoder, U-Net and VAE take turns in memory (under 1 % slower)");
  give_up(
      plan.weight_streaming, true,
      "weights that do not fit pass through memory in every step (about 3 % slower while the system still caches the "
      "model's files; at the disk's speed otherwise)");
  give_up(plan.vae_tiling,
          options_.vae_tiling == Choice::kAuto && backend_->has(vae, {plan.precision, plan.attention_slicing, true}),
          "the VAE works in row bands (same picture, VAE 5 to 20 % slower)");
  give_up(plan.attention_slicing, options_.attention_slicing == Choice::kAuto,
          "attention works on one head at a time (same picture)");
  INKSTONE_CHECK_USAGE(fits(), options_.memory_budget ? "a memory budget of " : "the free memory of ", mebibytes(limit),
                       " is too small for ", width, "x", height, ": the least that works is ",
                       mebibytes(plan.peak_bytes),
                       options_.vae_tiling == Choice::kOff || options_.attention_slicing == Choice::kOff
                           ? " with --vae-tiling and --attention-slicing as given"
                           : "",
                       "; a smaller picture needs less");
  return plans_[demand] = plan;
}

}  // namespace inkstone
