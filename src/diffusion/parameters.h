// The text chunk "parameters" of an image, in the form that AUTOMATIC1111's web UI writes and reads.
#pragma once

#include <string>

#include "diffusion/resolved_request.h"

namespace inkstone {

// prompt, a line "Negative prompt: ..." where there is one, then "Steps: 20, Sampler: PLMS, ..., Version: inkstone 0.1.0".
std::string parameters_text(const ResolvedRequest& request, const std::string& model_name);

}  // namespace inkstone
