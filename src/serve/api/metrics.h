// The server's figures as Prometheus reads them: names inkstone_*, text format 0.0.4.
#pragma once

#include <string>
#include <vector>

#include "serve/api/device_reading.h"
#include "serve/http/server.h"
#include "serve/jobs/image_service.h"

namespace inkstone::serve {

// `card`: null before a worker is ready.
std::string metrics_text(const ServiceFigures& service, const http::Figures& http,
                         const std::vector<ServedModel>& models, const std::vector<DeviceReading>& cards);

}  // namespace inkstone::serve
