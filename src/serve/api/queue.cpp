// GET /queue, GET /v1/info and GET and POST /models: the server's state, models and limits. No
// client, prompt or job is named.
#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "base/version.h"
#include "diffusion/request_fields.h"
#include "diffusion/scheduler.h"
#include "serve/api/a1111_upscalers.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/fields.h"
#include "serve/api/jobs.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

JsonObject curve_json(const ShapeTimes& times) {
  JsonArray steps;
  for (const BatchTime& step : times.steps)
    steps.push_back(JsonObject{{"batch_rows", step.batch_rows}, {"seconds", step.seconds}});
  return {{"width", times.width},
          {"height", times.height},
          {"steps", std::move(steps)},
          {"encode_seconds", times.encode_seconds},
          {"decode_seconds", times.decode_seconds}};
}

JsonObject worker_json(const WorkerFigures& worker) {
  JsonArray curves, buckets, memory;
  for (const auto& [variant, times] : worker.curves) {
    curves.push_back(curve_json(times));
    curves.back().as_object()["model"] = shown_variant(variant);
  }
  for (const BucketFigures& bucket : worker.batcher.buckets)
    buckets.push_back(JsonObject{{"model", shown_variant(bucket.bucket.model)},
                                 {"width", bucket.bucket.width},
                                 {"height", bucket.bucket.height},
                                 {"max_batch_rows", bucket.max_batch_rows},
                                 {"jobs", bucket.jobs},
                                 {"rows_waiting", bucket.rows_waiting}});
  for (const std::string& line : worker.memory) memory.emplace_back(line);
  return {{"device", worker.device},
          {"description", worker.description},
          {"precision", worker.precision},
          {"state", worker.state},
          {"restarts", worker.restarts},
          {"jobs", worker.batcher.jobs},
          {"batch_rows", worker.batcher.batch_rows},
          {"between_steps", worker.batcher.between_steps},
          {"backlog_seconds", worker.batcher.backlog_seconds},
          {"buckets", std::move(buckets)},
          {"curves", std::move(curves)},
          {"memory", std::move(memory)},
          {"memory_total", worker.device_figures.memory_total},
          {"memory_free", worker.device_figures.memory_free},
          {"memory_used", worker.device_figures.memory_used},
          {"health", worker.device_figures.health}};
}

void show_queue(ApiContext& context, const http::ExchangePtr& exchange) {
  const ServiceFigures figures = context.service.figures();
  JsonArray workers;
  for (const WorkerFigures& worker : figures.workers) workers.push_back(worker_json(worker));
  exchange->reply(json_reply(200, JsonObject{{"ready", figures.ready},
                                             {"draining", figures.draining},
                                             {"uptime", figures.uptime},
                                             {"orders", figures.orders},
                                             {"queued", figures.queued},
                                             {"running", figures.running},
                                             {"done", figures.done},
                                             {"failed", figures.failed},
                                             {"cancelled", figures.cancelled},
                                             {"retries", figures.retries},
                                             {"retrying", figures.retrying},
                                             {"max_queue", context.settings.max_queue},
                                             {"workers", std::move(workers)}}));
}

JsonObject model_row(const ServedModel& model, bool is_default) {
  JsonObject json{{"name", model.name}, {"default", is_default}};
  json["state"] = model.card ? "ready" : model.fault.empty() ? "reading" : "unusable";
  if (!model.card) return json;
  const ModelTraits& traits = model.card->traits;
  json["refiner"] = traits.refiner;
  json["file"] = model.card->file;
  json["hash"] = model.card->hash.empty() ? Json() : Json(model.card->hash);
  json["parameters"] = model.card->parameters;
  json["width"] = traits.width;
  json["height"] = traits.height;
  json["num_inference_steps"] = traits.steps;
  json["guidance_scale"] = shortest(traits.guidance_scale);
  return json;
}

JsonObject models_json(const ImageService& service) {
  JsonArray models, adapters;
  for (const ServedModel& model : service.models()) models.push_back(model_row(model, models.empty()));
  const std::vector<AdapterName>* names = service.adapters();
  for (const AdapterName& adapter : names ? *names : std::vector<AdapterName>{})
    adapters.emplace_back(clean_utf8(adapter.name));
  JsonArray upscalers;
  for (const std::string& name : hires_upscalers(served_upscalers(service))) upscalers.emplace_back(clean_utf8(name));
  return {{"models", std::move(models)}, {"loras", std::move(adapters)}, {"upscalers", std::move(upscalers)}};
}

void show_models(ApiContext& context, const http::ExchangePtr& exchange) {
  ready_models(context.service);
  exchange->reply(json_reply(200, models_json(context.service)));
}

void rescan_models(ApiContext& context, const http::ExchangePtr& exchange) {
  ready_models(context.service);
  context.service.rescan([&context, exchange] { exchange->reply(json_reply(200, models_json(context.service))); });
}

void show_info(ApiContext& context, const http::ExchangePtr& exchange) {
  Fields query(JsonObject(), Manner::kStrict);
  query.add_query(exchange->request());
  const ModelCard& card = asked_model(context, query.text("model", kMaxWordBytes).value_or(""));
  JsonArray names;
  for (const ModelCard* one : ready_models(context.service)) names.emplace_back(one->name);
  const Limits limits = limits_of(context, card);
  const ModelTraits& traits = card.traits;
  JsonArray schedulers;
  for (const std::string& name : scheduler_names()) schedulers.emplace_back(name);
  exchange->reply(json_reply(
      200, JsonObject{{"name", "inkstone"},
                      {"version", kVersion},
                      {"model", JsonObject{{"name", card.name},
                                           {"hash", card.hash},
                                           {"parameters", card.parameters},
                                           {"tokens", card.tokens}}},
                      {"models", std::move(names)},
                      {"defaults", JsonObject{{"width", traits.width},
                                              {"height", traits.height},
                                              {"num_inference_steps", traits.steps},
                                              {"guidance_scale", shortest(traits.guidance_scale)},
                                              {"scheduler", name_of(scheduler_config(traits).kind)},
                                              {"seed", -1}}},
                      {"limits", JsonObject{{"size_multiple", traits.size_multiple},
                                            {"max_side", limits.image.max_side},
                                            {"max_pixels", limits.image.max_pixels},
                                            {"max_steps", limits.image.max_steps},
                                            {"max_images", limits.max_images},
                                            {"max_guidance", request_field(&ImageRequest::guidance_scale).max},
                                            {"max_prompt_bytes", limits.image.max_prompt_bytes}}},
                      {"schedulers", std::move(schedulers)}}));
}

}  // namespace

void add_queue_routes(http::Router& router, ApiContext& context) {
  router.add({"GET", "/queue", handled(http::ErrorShape::kOwn, [&context](const http::ExchangePtr& exchange) {
                show_queue(context, exchange);
              })});
  router.add({"GET", "/models", handled(http::ErrorShape::kOwn, [&context](const http::ExchangePtr& exchange) {
                show_models(context, exchange);
              })});
  router.add({"POST", "/models", handled(http::ErrorShape::kOwn, [&context](const http::ExchangePtr& exchange) {
                rescan_models(context, exchange);
              })});
  router.add({"GET", "/v1/info", handled(http::ErrorShape::kOwn, [&context](const http::ExchangePtr& exchange) {
                show_info(context, exchange);
              })});
}

}  // namespace inkstone::serve
