// Whether the server lives and whether it is ready, as every API that tells it counts.
#pragma once

#include "serve/desk.h"

namespace inkstone {

bool is_live(const ServiceFigures& figures);
bool is_ready(const ServiceFigures& figures);

}  // namespace inkstone
