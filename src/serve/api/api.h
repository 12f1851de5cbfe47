// The APIs: each adds its routes. They live as long as the router that they were added to.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "serve/api/device_reading.h"
#include "serve/api/shared_answers.h"
#include "serve/http/http.h"
#include "serve/http/server.h"
#include "serve/jobs/image_service.h"
#include "serve/jobs/settings.h"

namespace inkstone::serve {

struct ApiContext {  // outlives the routes
  ImageService& service;
  const ServeSettings& settings;
  std::function<http::Figures()> http_figures;
  SharedAnswers answers{};
  // The newest that is known of the cards; never waits. Unset: there are none.
  std::function<std::vector<DeviceReading>()> device_readings{};
};

// POST /generate, GET /jobs, GET and DELETE /jobs/{id}, GET /jobs/{id}/images/{n}, GET /queue, GET /v1/info.
void add_generate_routes(http::Router& router, ApiContext& context);
void add_openai_routes(http::Router& router, ApiContext& context);  // /v1/images/generations, /v1/models
void add_a1111_routes(http::Router& router, ApiContext& context);   // /sdapi/v1/...
void add_oip_routes(http::Router& router, ApiContext& context);     // /v2, /v2/health/..., /v2/models/...
void add_health_routes(http::Router& router, ApiContext& context);  // /health/live, /health/ready, /metrics, /ping ...
void add_page_routes(http::Router& router, ApiContext& context);    // /, its script and style, /openapi.json

}  // namespace inkstone::serve
