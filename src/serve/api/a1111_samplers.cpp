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
  if (!said || !said->karras) said = found.schedule;
  return said && said->karras ? said : nullptr;
}

}  // namespace

const ScheduleName& automatic_schedule(const SamplerName& sampler) {
  const ScheduleName* there = find_schedule(*sampler.automatic ? sampler.automatic : "uniform");
  INKSTONE_CHECK(there && there->karras, sampler.name, ": no schedule is called ", sampler.automatic);
  return there->stands == Stands::kItself ? *there : *find_schedule(*there->karras ? "karras" : "uniform");
}

Sampling a1111_sampling(std::string_view sampler_name, std::string_view schedule) {
  const auto found = find_sampler(sampler_name);
  if (!found)
    refuse(404, "sampler_not_found", "Sampler not found: \"" + shown(sampler_name) + "\"; there are " + all_samplers(),
           "sampler_name");
  const ScheduleName* said = said_schedule(*found, schedule);
  const ScheduleName& used = said ? *said : automatic_schedule(*found->sampler);
  try {
    Sampling sampling = sampling_of(*found->sampler, &used);
    const std::string_view there = found->sampler->automatic;
    if (!said && !there.empty() && there != used.name)
      sampling.warnings.push_back(text_of({"the automatic schedule of ", found->sampler->name, " is ", there,
                                           ", which is not here; ", used.label, " is taken, which comes nearest"}));
    if (!sampling.karras) sampling.karras = false;
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
