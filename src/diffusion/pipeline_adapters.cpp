#include "diffusion/pipeline_adapters.h"

#include <set>

#include "adapters/merge.h"
#include "backend/backend.h"
#include "base/error.h"
#include "diffusion/preview_vae.h"
#include "models/clip.h"
#include "models/ldm_names.h"

namespace inkstone {
namespace {

// What a text encoder has behind the layer at which its text is taken.
std::vector<std::string> unread_weights(const TextEncoder& encoder, const Weights& weights) {
  ClipConfig whole = encoder.config;
  whole.layers_after_text = 0;
  whole.norm_of_text = true;
  std::set<std::string> read;
  for (const WeightSpec& spec : weights.specs()) read.insert(spec.name);
  std::vector<std::string> unread;
  for (const NamedShape& weight : weights_of(clip_graph(whole, 1)))
    if (!read.contains(weight.name)) unread.push_back(weight.name);
  return unread;
}

std::vector<AdapterTarget> targets_of(Pipeline& pipeline) {
  std::vector<AdapterTarget> targets;
  for (Component& component : pipeline.components) {
    if (component.name == "vae" || component.name == kPreviewVae) continue;  // no adapter is for them
    AdapterTarget& target = targets.emplace_back();
    target.name = component.name;
    target.weights = &component.weights;
    for (const TextEncoder& encoder : pipeline.text_encoders)
      if (encoder.component == component.name) target.unread = unread_weights(encoder, component.weights);
    if (component.name == "unet")
      target.ldm_name = [&config = pipeline.unet_config](const std::string& name) {
        return ldm_unet_name(name, config);
      };
  }
  return targets;
}

}  // namespace

void check_room(size_t bytes, size_t memory_budget, size_t memory_free) {
  const size_t room = memory_budget ? memory_budget : memory_free;
  INKSTONE_CHECK_USAGE(!room || bytes < room, "the weights that the adapters change take ", bytes >> 20,
                       " MiB of memory, ", memory_budget ? "the memory budget is " : "the machine has free ",
                       room >> 20, " MiB");
}

void merge(Pipeline& pipeline, const AdapterSet& set, size_t memory_budget, const MakeRoom& make_room) {
  unmerge(pipeline);
  MergePlan plan(targets_of(pipeline), set);
  const size_t bytes = plan.owned_bytes();
  if (memory_budget) check_room(bytes, memory_budget, 0);
  if (make_room) make_room(bytes);
  // they lie in the host's memory, whichever device runs
  if (!memory_budget) check_room(bytes, 0, open_backend("cpu")->info().memory_free);
  plan.run();
  pipeline.adapters = plan.adapters();
}

void unmerge(Pipeline& pipeline) {
  for (Component& component : pipeline.components) component.weights.restore();
  pipeline.adapters.clear();
}

}  // namespace inkstone
