// The Open Inference Protocol: health and metadata, for KServe and others that ask so. Images are
// asked for elsewhere.
#include "base/json.h"
#include "base/utf8.h"
#include "base/version.h"
#include "serve/api/answers.h"
#include "serve/api/api.h"
#include "serve/api/fault.h"
#include "serve/api/health.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

JsonObject tensor_json(const char* name, const char* type) {
  return {{"name", name}, {"datatype", type}, {"shape", JsonArray{1}}};
}

const ModelCard& known_model(ApiContext& context, const http::Request& request) {
  return asked_model(context, request.capture("model"));
}

void show_server(ApiContext&, const http::ExchangePtr& exchange) {
  exchange->reply(
      json_reply(200, JsonObject{{"name", "inkstone"}, {"version", kVersion}, {"extensions", JsonArray{}}}));
}

void show_oip_live(ApiContext& context, const http::ExchangePtr& exchange) {
  const bool live = is_live(context.service.figures());
  exchange->reply(json_reply(live ? 200 : 503, JsonObject{{"live", live}}));
}

void show_oip_ready(ApiContext& context, const http::ExchangePtr& exchange) {
  const bool ready = is_ready(context.service.figures());
  exchange->reply(json_reply(ready ? 200 : 503, JsonObject{{"ready", ready}}));
}

void show_oip_model(ApiContext& context, const http::ExchangePtr& exchange) {
  const ModelCard& card = known_model(context, exchange->request());
  exchange->reply(
      json_reply(200, JsonObject{{"name", card.name},
                                 {"versions", JsonArray{"1"}},
                                 {"platform", "inkstone"},
                                 {"inputs", JsonArray{tensor_json("prompt", "BYTES"), tensor_json("seed", "INT64")}},
                                 {"outputs", JsonArray{tensor_json("image", "BYTES")}}}));
}

void show_oip_model_ready(ApiContext& context, const http::ExchangePtr& exchange) {
  const ModelCard& card = known_model(context, exchange->request());
  const bool ready = is_ready(context.service.figures());
  exchange->reply(json_reply(ready ? 200 : 503, JsonObject{{"name", card.name}, {"ready", ready}}));
}

}  // namespace

void add_oip_routes(http::Router& router, ApiContext& context) {
  const auto add = [&](const char* pattern, void (*body)(ApiContext&, const http::ExchangePtr&), bool open = false) {
    http::Route route{"GET", pattern,
                      handled(http::ErrorShape::kOip,
                              [&context, body](const http::ExchangePtr& exchange) { body(context, exchange); }),
                      http::ErrorShape::kOip};
    route.open = open;
    router.add(std::move(route));
  };
  add("/v2", show_server);
  add("/v2/health/live", show_oip_live, true);
  add("/v2/health/ready", show_oip_ready, true);
  add("/v2/models/{model}", show_oip_model);
  add("/v2/models/{model}/ready", show_oip_model_ready);
  add("/v2/models/{model}/versions/{version}", show_oip_model);
  add("/v2/models/{model}/versions/{version}/ready", show_oip_model_ready);
}

}  // namespace inkstone::serve
