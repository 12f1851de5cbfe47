// The APIs: each adds its routes. They live as long as the router that they were added to.
#pragma once

#include <functional>
#include <string>

#include "serve/desk.h"
#include "serve/http/http.h"
#include "serve/http/server.h"
#include "serve/settings.h"

namespace inkstone {

struct ApiContext {  // outlives the routes
  Desk& desk;
  const ServeSettings& settings;
  std::function<HttpFigures()> http_figures;
};

void add_generate_routes(
    Router& router,
    ApiContext&
        context);  // POST /generate, GET and DELETE /jobs/{id}, GET /jobs/{id}/images/{n}, GET /queue, GET /v1/info
void add_openai_routes(Router& router, ApiContext& context);  // /v1/images/generations, /v1/models
void add_a1111_routes(Router& router, ApiContext& context);   // /sdapi/v1/...
void add_oip_routes(Router& router, ApiContext& context);     // /v2, /v2/health/..., /v2/models/...
void add_health_routes(Router& router, ApiContext& context);  // /health/live, /health/ready, /metrics
void add_page_routes(Router& router, ApiContext& context);    // /, its script and style, /openapi.json

}  // namespace inkstone
