// What enlarges images, by AUTOMATIC1111's names.
#pragma once

#include <string>
#include <vector>

#include "diffusion/hires_upscaler.h"
#include "serve/jobs/image_service.h"

namespace inkstone::serve {

// The operator's networks; none before the first worker is ready.
std::vector<UpscalerTrait> served_upscalers(const ImageService& service);
// Our name of one: "None" is lanczos, and "R-ESRGAN 4x+" the network of the file that the web UI has under that name. What
// is not known stays as it is.
std::string a1111_upscaler(const std::string& name);

}  // namespace inkstone::serve
