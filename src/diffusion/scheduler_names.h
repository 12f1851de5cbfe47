// What schedulers and their noise levels are called: by us, by AUTOMATIC1111's web UI, k-diffusion,
// ComfyUI, stable-diffusion.cpp and diffusers. The one table of such names, for the command line
// and every API.
//
// A name that means exactly one of ours is taken. Where a deterministic sampler or schedule is not
// here, the nearest one draws nearly the same image, and stands for it with a warning. A sampler
// that draws noise in each step would come to another image: it is refused, with the nearest ones.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "diffusion/scheduler.h"

namespace inkstone {

enum class Stands { kItself, kNearest, kNot };  // kNot: another image would come out

struct SamplerName {
  const char* name;     // as the web UI calls it, or whoever has it: "DPM++ 2M"
  const char* aliases;  // words with spaces between them
  SchedulerKind kind;   // ours, or the nearest of ours
  Stands stands = Stands::kItself;
  // The schedule that the web UI takes for it by itself.
  Schedule automatic = Schedule::kUniform;
};

struct ScheduleName {
  const char *name, *label, *aliases;  // "sgm_uniform", "SGM Uniform"
  Schedule schedule;                   // ours, or the nearest of ours; kDefault: the sampler's own
  Stands stands = Stands::kItself;
};

std::span<const SamplerName> sampler_names();    // ours first, as the web UI lists them
std::span<const ScheduleName> schedule_names();  // ours first

const SamplerName& sampler_name(SchedulerKind kind);   // of ours
const ScheduleName& schedule_name(Schedule schedule);  // of ours
std::vector<std::string> aliases_of(const SamplerName& sampler);
const ScheduleName* find_schedule(std::string_view name);

// A name may say its schedule too: "DPM++ 2M Karras". Nothing where nobody is called that.
struct FoundSampler {
  const SamplerName* sampler;
  const ScheduleName* schedule;  // nullptr: the name says none
};
std::optional<FoundSampler> find_sampler(std::string_view name);

// A name that exists elsewhere and has nothing here that would draw its image.
class AbsentSampler : public UsageError {
 public:
  using UsageError::UsageError;
};

struct Sampling {
  SchedulerKind kind;
  std::optional<Schedule> schedule;  // unset: the names leave it to the model
  std::vector<std::string> warnings;
};
// Throws AbsentSampler, which names what is nearest.
Sampling sampling_of(const SamplerName& sampler, const ScheduleName* schedule);

}  // namespace inkstone
