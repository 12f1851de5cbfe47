// Whether the server lives and whether it is ready, as every API that tells it counts.
#pragma once

#include "serve/jobs/image_service.h"

namespace inkstone::serve {

bool is_live(const ServiceFigures& figures);
bool is_ready(const ServiceFigures& figures);

}  // namespace inkstone::serve
