// Most images are made by one model at one size. Others have several legs, each by one model at one size: a leg ends
// before its schedule does, or with a small image, and the next one goes on from its latent (Engine::start).
//
// SDXL's refiner: the base runs the calls whose timestep is at least round(1000 - 1000 * start), the refiner those below
// it, from the base's latent and with no noise of its own at the beginning. Two pipelines of diffusers do the same, with
// denoising_end and denoising_start.
//
// A hires fix: the image is drawn at its size, enlarged as a latent or as pixels (hires_upscaler.h), and drawn again from
// there, with noise for the new size from the same seed, as by diffusers' pipelines from a picture. As AUTOMATIC1111 counts,
// n steps at strength d are the last n of floor(n / min(d, 0.999)).
#pragma once

#include <string>

#include "diffusion/resolved_request.h"

namespace inkstone {

inline constexpr float kRefinerStart = 0.8f;  // where nobody says another

struct RefinedCalls {
  int base_end = 0;       // calls that the base makes: ResolvedRequest::end_call
  int refiner_first = 0;  // of the refiner's own schedule: ResolvedRequest::first_call
};
// `refiner`: resolved by its own traits. `name`: what `start` (0 to 1) is called for errors. Throws UsageError where it
// leaves one of them nothing to do.
RefinedCalls refined_calls(const ResolvedRequest& base, const ResolvedRequest& refiner, float start,
                           const std::string& name);
// The second leg of a request whose hires is above 1. Throws UsageError where its scheduler has not so many steps.
ResolvedRequest hires_leg(const ResolvedRequest& first);
// What was said of an image, with the steps, guidance, size and seed that the base has.
ImageRequest said_to_refiner(const ImageRequest& asked, const ResolvedRequest& base);

}  // namespace inkstone
