// What resolve() makes of the pictures of a request; nobody else calls it.
#pragma once

#include <string>
#include <vector>

#include "diffusion/resolved_request.h"

namespace inkstone {

// Fills in the image and its mask, the strength, and, where the picture decides it, the size. Throws RequestError.
void take_pictures(const ImageRequest& request, const ModelTraits& model, const RequestLimits& limits,
                   ResolvedRequest& result);

// diffusers' get_timesteps: of n steps floor(n * strength) are run. RequestError where that is none.
int first_call_of(const ResolvedRequest& request);

// What was said of pictures and has no effect, because what it needs was not said.
std::vector<std::string> idle_fields(const ImageRequest& request, const ResolvedRequest& resolved);

}  // namespace inkstone
