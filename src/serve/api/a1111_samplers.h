// What txt2img's "sampler_name" and "scheduler" mean together here (diffusion/scheduler_names.h has
// the names).
#pragma once

#include <string_view>

#include "diffusion/scheduler_names.h"

namespace inkstone::serve {

// "" and "automatic" are the schedule of the sampler's name ("DPM++ 2M Karras"), else the one that
// the web UI takes for the sampler. `schedule` is always set. Throws ApiFault 404 and 422.
Sampling a1111_sampling(std::string_view sampler_name, std::string_view schedule);

}  // namespace inkstone::serve
