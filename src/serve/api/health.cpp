// /health/live: work passes through the scheduler, not merely "the process answers". /health/ready:
// orders are admitted.
#include "serve/api/health.h"

#include "base/json.h"
#include "serve/api/answers.h"
#include "serve/api/api.h"
#include "serve/api/fault.h"
#include "serve/api/metrics.h"

namespace inkstone::serve {
namespace {

void show_live(ApiContext& context, const http::ExchangePtr& exchange) {
  const ServiceFigures figures = context.service.figures();
  const bool live = is_live(figures);
  exchange->reply(json_reply(live ? 200 : 503, JsonObject{{"status", live ? "live" : "stuck"},
                                                          {"canary_age", figures.canary_age},
                                                          {"canary_limit", figures.canary_limit},
                                                          {"uptime", figures.uptime}}));
}

// As AUTOMATIC1111 answers it: the program is there.
void show_ping(ApiContext&, const http::ExchangePtr& exchange) { exchange->reply(json_reply(200, JsonObject{})); }

void show_ready(ApiContext& context, const http::ExchangePtr& exchange) {
  const ServiceFigures figures = context.service.figures();
  const bool ready = is_ready(figures);
  exchange->reply(json_reply(ready ? 200 : 503, JsonObject{{"status", figures.draining ? "draining"
                                                                      : ready          ? "ready"
                                                                                       : "starting"},
                                                           {"orders", figures.orders}}));
}

void show_metrics(ApiContext& context, const http::ExchangePtr& exchange) {
  http::Reply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = metrics_text(context.service.figures(), context.http_figures ? context.http_figures() : http::Figures{},
                            context.service.models(),
                            context.device_readings ? context.device_readings() : std::vector<DeviceReading>{});
  exchange->reply(std::move(reply));
}

}  // namespace

bool is_live(const ServiceFigures& figures) { return figures.canary_age <= figures.canary_limit; }
bool is_ready(const ServiceFigures& figures) { return figures.ready && !figures.draining; }

void add_health_routes(http::Router& router, ApiContext& context) {
  const auto add = [&](const char* pattern, bool open, void (*body)(ApiContext&, const http::ExchangePtr&)) {
    http::Route route{"GET", pattern,
                      handled(http::ErrorShape::kOwn,
                              [&context, body](const http::ExchangePtr& exchange) { body(context, exchange); })};
    route.open = open;
    router.add(std::move(route));
  };
  add("/health/live", true, show_live);
  // Names by which other servers are asked the same.
  for (const char* name : {"/health", "/healthz", "/ping"}) add(name, true, show_live);
  add("/internal/ping", true, show_ping);
  add("/health/ready", true, show_ready);
  add("/metrics", false, show_metrics);
}

}  // namespace inkstone::serve
