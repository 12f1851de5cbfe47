// A picture that is made larger and not drawn on: a request that names an upscaler of its own. It has no U-Net evaluation.
#pragma once

#include <optional>
#include <string>

#include "base/image.h"
#include "diffusion/resolved_request.h"

namespace inkstone {

class ImageUpscaler;

// Of a request with `upscaler`; resolve() calls it. Throws RequestError.
ResolvedRequest resolve_enlargement(const ImageRequest& request, const ModelTraits& model, const RequestLimits& limits);

ImageRequest said_of_enlargement(const ResolvedRequest& request);  // ResolvedRequest::said()

// Reads the picture and makes it as large as the request says. Throws Error for a file that cannot be read.
Image enlarged_picture(const ResolvedRequest& request, ImageUpscaler& upscaler);

// "Postprocess upscale to: 512x512, Postprocess upscaler: x4": what AUTOMATIC1111 writes into the file.
std::string enlargement_text(const ResolvedRequest& request);

}  // namespace inkstone
