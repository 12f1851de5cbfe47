#include "serve/api/a1111_samplers.h"

#include <string>

#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

std::string all_samplers() {
  std::vector<std::string> names;
  for (const SamplerName& sampler : sampler_names())
    if (sampler.stands == Stands::kItself) names.emplace_back(sampler.name);
  return listed(names);
}

std::string all_schedules() {
  std::vector<std::string> names;
  for (const ScheduleName& schedule : schedule_names())
    if (schedule.stands == Stands::kItself) names.emplace_back(schedule.label);
  return listed(names);
}

// nullptr: the sampler's own.
const ScheduleName* said_schedule(const FoundSampler& found, std::string_view name) {
  const ScheduleName* said = name.empty() ? nullptr : find_schedule(name);
  if (!name.empty() && !said)
    refuse(422, "not_supported", "there is no scheduler \"" + shown(name) + "\" here; there are " + all_schedules(),
           "scheduler");
  const auto is_own = [](const ScheduleName* schedule) {
    return !schedule || schedule->schedule == Schedule::kDefault;
  };
  if (is_own(said)) said = found.schedule;
  return is_own(said) ? nullptr : said;
}

}  // namespace

Sampling a1111_sampling(std::string_view sampler_name, std::string_view schedule) {
  const auto found = find_sampler(sampler_name);
  if (!found)
    refuse(404, "sampler_not_found", "Sampler not found: \"" + shown(sampler_name) + "\"; there are " + all_samplers(),
           "sampler_name");
  const ScheduleName* said = said_schedule(*found, schedule);
  const ScheduleName& used = said ? *said : schedule_name(found->sampler->automatic);
  try {
    Sampling sampling = sampling_of(*found->sampler, &used);
    if (!sampling.schedule) sampling.schedule = Schedule::kDefault;
    return sampling;
  } catch (const AbsentSampler& error) {
    const bool sampler = found->sampler->stands == Stands::kNot;
    refuse(sampler ? 404 : 422, sampler ? "sampler_not_found" : "not_supported",
           (sampler ? "Sampler not found: " : "") + std::string(error.what()) +
               (sampler ? "; there are " + all_samplers() : ""),
           sampler ? "sampler_name" : "scheduler");
  }
}

}  // namespace inkstone::serve
