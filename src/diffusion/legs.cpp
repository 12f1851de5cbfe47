#include "diffusion/legs.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/spelling.h"
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

}  // namespace

ResolvedRequest hires_leg(const ResolvedRequest& first) {
  constexpr double kMostStrength = 0.999;
  ResolvedRequest leg = first;
  const int run = first.hires_steps > 0 ? first.hires_steps : first.steps;
  const double steps = run / std::min(shortest(first.hires_strength), kMostStrength);
  INKSTONE_CHECK_USAGE(steps <= kMaxImageSteps, run, " steps at a strength of ", first.hires_strength,
                       " are the end of a schedule of ", std::floor(steps), ", and there are at most ", kMaxImageSteps,
                       ": ask for fewer steps, or more strength");
  leg.steps = static_cast<int>(steps);
  leg.scheduler = make_scheduler(first.scheduler_config, leg.steps);
  leg.first_call = (leg.steps - run) * (calls_twice(first.scheduler_config.kind) ? 2 : 1);
  leg.width = first.final_width;
  leg.height = first.final_height;
  leg.output = {leg.width, leg.height};
  leg.hires = 1;
  leg.enlarged = true;
  return leg;
}

ImageRequest said_to_refiner(const ImageRequest& asked, const ResolvedRequest& base) {
  ImageRequest request = asked;
  request.steps = base.steps;
  request.guidance_scale = base.guidance_scale;
  request.width = base.width;
  request.height = base.height;
  request.seed = base.seed;
  for (const RequestField& field : request_fields())  // the base has begun with the picture
    if (field.group == kFromPicture) std::visit([&](auto member) { (request.*member).reset(); }, field.member);
  request.hires_upscaler.reset();  // it enlarges nothing
  request.control.reset();         // its ControlNets fit no refiner
  request.control_guess.reset();
  return request;
}

RefinedCalls refined_calls(const ResolvedRequest& base, const ResolvedRequest& refiner, float start,
                           const std::string& name) {
  INKSTONE_CHECK_USAGE(start > 0 && start < 1, name, " ", start, ": must be between 0 and 1, such as 0.8");
  RefinedCalls made;
  made.base_end = calls_from(base, cutoff_of(base.scheduler_config, start));
  const int calls = calls_below(refiner, cutoff_of(refiner.scheduler_config, start));
  made.refiner_first = refiner.calls() - calls;
  INKSTONE_CHECK_USAGE(made.base_end > base.first_call, name, " ", start, " leaves the base model none of ", base.steps,
                       " steps: ask for more of them, or a later start", base.image ? ", or a greater strength" : "");
  INKSTONE_CHECK_USAGE(calls > 0, name, " ", start, " leaves the refiner none of ", base.steps,
                       " steps: ask for more of them, or an earlier start");
  return made;
}

}  // namespace inkstone
