#include "diffusion/pipeline_adapters.h"

#include "adapters/merge.h"
#include "base/error.h"
#include "models/ldm_names.h"

namespace inkstone {
namespace {

std::vector<AdapterTarget> targets_of(Pipeline& pipeline) {
  std::vector<AdapterTarget> targets;
  for (Component& component : pipeline.components) {
    if (component.name == "vae") continue;  // no adapter is for it
    AdapterTarget& target = targets.emplace_back();
    target.name = component.name;
    target.weights = &component.weights;
    if (component.name == "unet")
      target.ldm_name = [&config = pipeline.unet_config](const std::string& name) {
        return ldm_unet_name(name, config);
      };
  }
  return targets;
}

}  // namespace

void merge(Pipeline& pipeline, const AdapterSet& set, size_t memory_budget, const MakeRoom& make_room) {
  unmerge(pipeline);
  MergePlan plan(targets_of(pipeline), set);
  const size_t bytes = plan.owned_bytes();
  INKSTONE_CHECK_USAGE(!memory_budget || bytes < memory_budget, "the weights that the adapters change take ",
                       bytes >> 20, " MiB of memory, the memory budget is ", memory_budget >> 20, " MiB");
  if (make_room) make_room(bytes);
  plan.run();
  pipeline.adapters = plan.adapters();
}

void unmerge(Pipeline& pipeline) {
  for (Component& component : pipeline.components) component.weights.restore();
  pipeline.adapters.clear();
}

}  // namespace inkstone
