// AUTOMATIC1111's names: samplers with their aliases, schedule types, and the legacy names that
// mean both ("DPM++ 2M Karras").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"

namespace inkstone::serve {

struct A1111Sampler {
  std::string scheduler;      // as `--scheduler` calls it
  std::string name;           // "DPM++ 2M"
  std::string schedule_type;  // of the name itself; empty: none
};

std::optional<A1111Sampler> a1111_sampler(std::string_view name);  // case does not matter

// Whether a schedule type means Karras' noise levels for that sampler; nothing where it is not
// here, or not for it. "" and "automatic" are the sampler's own: Karras for the DPM++ ones.
std::optional<bool> karras_of(const A1111Sampler& sampler, std::string_view schedule_type);

JsonArray a1111_samplers_json();
JsonArray a1111_schedulers_json();

}  // namespace inkstone::serve
