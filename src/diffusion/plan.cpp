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

size_t outputs_bytes(const Graph& graph) {
  size_t sum = 0;
  for (const int id : graph.outputs()) sum += bytes(graph.node(id).shape, graph.node(id).type);
  return sum;
}

// All programs work in the same bytes. The pages of the text encoder and of what runs before the steps are given back as soon
// as they ran; the others' stay, if they may. When components take turns, the work memory too is given back between them.
size_t peak_of(const EnginePlan& plan) {
  const MemoryUse &text = plan.text_encoder, &prompt = plan.prompt, &time = plan.time, &unet = plan.unet,
                  &vae = plan.vae;
  const size_t always = plan.program_bytes + plan.carried_bytes,
               unet_work = std::max({prompt.work(), time.work(), unet.work()}),
               before_unet = std::max(prompt.mapped, time.mapped);
  if (plan.components_in_turn)
    return always +
           std::max({text.total(), vae.total(),
                     prompt.weights + time.weights + unet.weights + std::max(before_unet, unet.mapped) + unet_work});
  return always + text.weights + prompt.weights + time.weights + unet.weights + vae.weights + unet.mapped + vae.mapped +
         std::max(text.mapped, before_unet) + std::max({text.work(), unet_work, vae.work()});
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
}

void Engine::set_memory_budget(size_t bytes) {
  options_.memory_budget = bytes;
  plans_.clear();
}

EnginePlan Engine::plan(int width, int height, bool guided) const {
  const int scale = model_.vae_scale(), rows = guided && !distilled() ? 2 : 1;
  const Key key{1, rows, width, height};
  if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
  const Graph text = clip_graph(model_.clip_config, 1);
  const Graph vae = vae_decoder_graph(model_.vae_config, 1, height / scale, width / scale);

  EnginePlan plan;
  plan.program_bytes = program_bytes_ + kLibraryBytes;
  plan.precision = options_.precision.value_or(backend_->info().bf16 ? Precision::kBf16 : Precision::kFp32);
  plan.vae_tiling = options_.vae_tiling == Choice::kOn;
  plan.attention_slicing = options_.attention_slicing == Choice::kOn;
  const UnetParts unet = unet_parts(key, plan.precision);
  plan.carried_bytes = kTextsKept * outputs_bytes(text) +
                       (kKeysKept + static_cast<size_t>(rows)) * outputs_bytes(unet.prompt) +
                       kTimesKept * outputs_bytes(unet.time);
  const size_t limit = options_.memory_budget ? options_.memory_budget : plan.program_bytes + memory_free_;
  const bool limited = options_.memory_budget || memory_free_;
  const auto use_of = [&](const Graph& graph, const Weights& weights, bool tiled) {
    CompileOptions options{plan.precision, plan.attention_slicing, tiled};
    const MemoryUse all = backend_->plan(graph, weights, options);
    if (!plan.weight_streaming) return all;
    const size_t unet_weights = plan.prompt.weights + plan.time.weights + plan.unet.weights,  // measured before
        packed = &weights == &model_.unet ? unet_weights : all.weights,
                 besides = plan.program_bytes + plan.carried_bytes + packed + all.work();
    options.mapped_limit = limit > besides ? limit - besides : 0;
    return backend_->plan(graph, weights, options);
  };
  const auto measure = [&] {
    plan.text_encoder = use_of(text, model_.clip, false);
    plan.prompt = use_of(unet.prompt, model_.unet, false);
    plan.time = use_of(unet.time, model_.unet, false);
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
  give_up(plan.vae_tiling, options_.vae_tiling == Choice::kAuto,
          "the VAE works in row bands (same picture, VAE about 5 % slower)");
  give_up(plan.attention_slicing, options_.attention_slicing == Choice::kAuto,
          "attention works on one head at a time (same picture)");
  INKSTONE_CHECK_USAGE(fits(), options_.memory_budget ? "a memory budget of " : "the free memory of ", mebibytes(limit),
                       " is too small for ", width, "x", height, ": the least that works is ",
                       mebibytes(plan.peak_bytes),
                       options_.vae_tiling == Choice::kOff || options_.attention_slicing == Choice::kOff
                           ? " with --vae-tiling and --attention-slicing as given"
                           : "",
                       "; a smaller picture needs less");
  return plans_[key] = plan;
}

}  // namespace inkstone
