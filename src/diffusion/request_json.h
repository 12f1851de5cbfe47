// A request as the APIs and reports write it. POST /generate takes what stands here.
#pragma once

#include "base/json_fwd.h"
#include "diffusion/image_request.h"

namespace inkstone {

// The fields that are set, by their names in the table of fields.
JsonObject request_json(const ImageRequest& request);

}  // namespace inkstone
