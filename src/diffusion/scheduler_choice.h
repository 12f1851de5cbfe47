// The scheduler that a request asks for by name, with the model's own settings for all that it does not say.
#pragma once

#include <optional>
#include <string>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

namespace inkstone {

struct SchedulerChoice {
  std::string name;            // empty: the model's own
  std::optional<bool> karras;  // unset: as the model says
  std::optional<float> eta;
};

// UsageError where the name is unknown, or where Karras' noise levels or eta do nothing for it; the fields are called with the prefix
// ("--" on a command line). `source` is how errors call the model's file.
SchedulerConfig scheduler_config(const Pipeline& model, const SchedulerChoice& choice, const std::string& source,
                                 const std::string& prefix = "");

}  // namespace inkstone
