// The server's figures as Prometheus reads them: names inkstone_*, text format 0.0.4.
#pragma once

#include <string>

#include "serve/desk.h"
#include "serve/http/server.h"

namespace inkstone {

std::string metrics_text(const ServiceFigures& service, const HttpFigures& http);

}  // namespace inkstone
