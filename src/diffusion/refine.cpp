#include "diffusion/refine.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone {
namespace {

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
  INKSTONE_CHECK_USAGE(resolved.hires <= 1, "--hires ", resolved.hires,
                       " and --refiner: an image has one or the other; leave one of them out");
  Refinement made;
  made.engine = &refiner;
  made.request = refiner.resolve(said_to_refiner(asked, resolved));
  const RefinedCalls calls = refined_calls(resolved, made.request, start, "--refiner-start");
  made.base = resolved;
  made.base.end_call = calls.base_end;
  made.request.first_call = calls.refiner_first;
  plan_both(base, resolved, made);
  return made;
}

}  // namespace inkstone
