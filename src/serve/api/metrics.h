// The server's figures as Prometheus reads them: names inkstone_*, text format 0.0.4.
#pragma once

#include <string>

#include "serve/http/server.h"
#include "serve/jobs/image_service.h"

namespace inkstone::serve {

std::string metrics_text(const ServiceFigures& service, const http::Figures& http);

}  // namespace inkstone::serve
