#include "diffusion/refine.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

// The timestep from which on the refiner runs.
double cutoff_of(const SchedulerConfig& config, float start) {
  const auto train = static_cast<double>(config.train_timesteps);
  return std::nearbyint(train - double{start} * train);
}

int calls_from(const ResolvedRequest& request, double cutoff) {
  return static_cast<int>(std::ranges::count_if(request.scheduler->timesteps(), [&](float t) { return t >= cutoff; }));
}

// diffusers' count of the refiner's calls: odd where a step has two, so that it begins with a first
// one.
int calls_below(const ResolvedRequest& request, double cutoff) {
  const int all = request.calls(), calls = all - calls_from(request, cutoff);
  const bool one_more = calls_twice(request.scheduler_config.kind) && calls % 2 == 0;
  return std::min(all, calls + (one_more ? 1 : 0));
}

ImageRequest for_refiner(const ImageRequest& asked, const ResolvedRequest& base) {
  ImageRequest request = asked;
  request.steps = base.steps;
  request.guidance_scale = base.guidance_scale;
  request.width = base.width;
  request.height = base.height;
  request.seed = base.seed;
  for (const RequestField& field : request_fields())  // the base has begun with the picture
    if (field.group == kFromPicture) std::visit([&](auto member) { (request.*member).reset(); }, field.member);
  return request;
}

void plan_both(Engine& base, const ResolvedRequest& resolved, Refinement& made) {
  const EnginePlan first = base.plan(resolved);
  // What is in no file stays while the other runs.
  if (first.owned_bytes && first.limit_bytes > first.owned_bytes)
    made.engine->set_memory_budget(first.limit_bytes - first.owned_bytes);
  made.plan = made.engine->plan(made.request);
  const size_t together = first.peak_bytes + made.plan.peak_bytes - made.plan.program_bytes;
  made.in_turn = first.limit_bytes && together > first.limit_bytes;
  made.peak_bytes = made.in_turn
                        ? std::max(first.peak_bytes + made.plan.owned_bytes, made.plan.peak_bytes + first.owned_bytes)
                        : together;
}

}  // namespace

Refinement refine(Engine& base, const ResolvedRequest& resolved, Engine& refiner, const ImageRequest& asked,
                  float start) {
  INKSTONE_CHECK_USAGE(
      resolved.cache_interval == 1, "--cache-interval ", resolved.cache_interval,
      " and --refiner: the refiner has no earlier call whose work it could take; leave one of them out");
  INKSTONE_CHECK_USAGE(start > 0 && start < 1, "--refiner-start ", start, ": must be between 0 and 1, such as 0.8");
  Refinement made;
  made.engine = &refiner;
  made.request = refiner.resolve(for_refiner(asked, resolved));
  made.base_calls = calls_from(resolved, cutoff_of(resolved.scheduler_config, start));
  const int calls = calls_below(made.request, cutoff_of(made.request.scheduler_config, start));
  made.first_call = made.request.calls() - calls;
  INKSTONE_CHECK_USAGE(made.base_calls > resolved.first_call, "--refiner-start ", start,
                       " leaves the base model none of ", resolved.steps,
                       " steps: ask for more of them, or a later start",
                       resolved.image ? ", or a greater strength" : "");
  INKSTONE_CHECK_USAGE(calls > 0, "--refiner-start ", start, " leaves the refiner none of ", resolved.steps,
                       " steps: ask for more of them, or an earlier start");
  plan_both(base, resolved, made);
  return made;
}

}  // namespace inkstone
