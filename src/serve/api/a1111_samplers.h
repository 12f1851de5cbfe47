// AUTOMATIC1111's names: samplers with their aliases, schedule types, and the legacy names that
// mean both ("DPM++ 2M Karras").
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/scheduler.h"

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

struct A1111SamplerRow {
  SchedulerKind kind;
  std::vector<std::string> aliases;
  // Its automatic schedule type is Karras.
  bool karras_by_itself = false;
};
std::span<const A1111SamplerRow> a1111_sampler_rows();  // as the web UI lists them

}  // namespace inkstone::serve
