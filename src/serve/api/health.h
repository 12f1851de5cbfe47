// Whether the server is live and ready; all APIs use these.
#pragma once

#include "serve/jobs/image_service.h"

namespace inkstone::serve {

bool is_live(const ServiceFigures& figures);
bool is_ready(const ServiceFigures& figures);

}  // namespace inkstone::serve
