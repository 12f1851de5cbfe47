#include "diffusion/scheduler_choice.h"

#include "base/error.h"

namespace inkstone {
SchedulerConfig scheduler_config(const Pipeline& model, const SchedulerChoice& choice, const std::string& source,
                                 const std::string& prefix) {
  std::optional<SchedulerKind> kind;
  if (!choice.name.empty()) kind = scheduler_kind(choice.name);
  SchedulerConfig config = scheduler_config(*model.scheduler_json, source, kind);
  if (choice.karras) {
    INKSTONE_CHECK_USAGE(!*choice.karras || takes_karras(config.kind), prefix,
                         "karras: works with euler, dpm++-2m, dpm++-2m-sde and unipc, not with ", name_of(config.kind),
                         ": choose one of them with ", prefix, "scheduler");
    config.karras = *choice.karras;
  }
  if (choice.eta) {
    INKSTONE_CHECK_USAGE(*choice.eta == 0 || config.kind == SchedulerKind::kDdim, prefix,
                         "eta: works with ddim, not with ", name_of(config.kind), ": add ", prefix, "scheduler ddim");
    config.eta = *choice.eta;
  }
  return config;
}

}  // namespace inkstone
