// GET /queue and GET /v1/info: how the server stands, what it has and what it takes. No client, prompt or job is named.
#include "base/version.h"
#include "diffusion/scheduler.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/jobs.h"
#include "serve/api/limits.h"

namespace inkstone {
namespace {

JsonObject curve_json(const ShapeTimes& times) {
  JsonArray steps;
  for (const RowTime& step : times.steps) steps.push_back(JsonObject{{"rows", step.rows}, {"seconds", step.seconds}});
  return {{"width", times.width},
          {"height", times.height},
          {"steps", std::move(steps)},
          {"text_seconds", times.text_seconds},
          {"vae_seconds", times.vae_seconds}};
}

JsonObject worker_json(const WorkerFigures& worker) {
  JsonArray curves, lanes, memory;
  for (const ShapeTimes& times : worker.curves) curves.push_back(curve_json(times));
  for (const LaneFigures& lane : worker.batcher.lanes)
    lanes.push_back(JsonObject{{"width", lane.lane.width},
                               {"height", lane.lane.height},
                               {"most_rows", lane.most_rows},
                               {"jobs", lane.jobs},
                               {"rows_waiting", lane.rows_waiting}});
  for (const std::string& line : worker.memory) memory.emplace_back(line);
  return {{"device", worker.device},
          {"description", worker.description},
          {"precision", worker.precision},
          {"state", worker.state},
          {"restarts", worker.restarts},
          {"jobs", worker.batcher.jobs},
          {"rows_now", worker.batcher.rows_now},
          {"parked", worker.batcher.parked},
          {"backlog_seconds", worker.batcher.backlog_seconds},
          {"lanes", std::move(lanes)},
          {"curves", std::move(curves)},
          {"memory", std::move(memory)},
          {"memory_total", worker.device_figures.memory_total},
          {"memory_free", worker.device_figures.memory_free},
          {"memory_used", worker.device_figures.memory_used},
          {"health", worker.device_figures.health}};
}

void show_queue(ApiContext& context, const ExchangePtr& exchange) {
  const ServiceFigures figures = context.desk.figures();
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
                                             {"most_queue", context.settings.most_queue},
                                             {"workers", std::move(workers)}}));
}

void show_info(ApiContext& context, const ExchangePtr& exchange) {
  const ModelCard& card = ready_model(context.desk);
  const Limits limits = limits_of(context, card);
  JsonArray schedulers;
  for (const std::string& name : scheduler_names()) schedulers.emplace_back(name);
  exchange->reply(json_reply(200, JsonObject{{"name", "inkstone"},
                                             {"version", kVersion},
                                             {"model", JsonObject{{"name", card.name},
                                                                  {"hash", card.hash},
                                                                  {"parameters", card.parameters},
                                                                  {"tokens", card.tokens}}},
                                             {"defaults", JsonObject{{"width", card.width},
                                                                     {"height", card.height},
                                                                     {"num_inference_steps", card.steps},
                                                                     {"guidance_scale", card.guidance},
                                                                     {"scheduler", card.scheduler},
                                                                     {"seed", 42}}},
                                             {"limits", JsonObject{{"size_multiple", limits.multiple},
                                                                   {"most_side", limits.most_side},
                                                                   {"most_pixels", limits.most_pixels},
                                                                   {"most_steps", limits.most_steps},
                                                                   {"most_pictures", limits.most_pictures},
                                                                   {"most_guidance", kMostGuidance},
                                                                   {"most_prompt_bytes", kMostPromptBytes}}},
                                             {"schedulers", std::move(schedulers)}}));
}

}  // namespace

void add_queue_routes(Router& router, ApiContext& context) {
  router.add({"GET", "/queue",
              handled(ErrorShape::kOwn, [&context](const ExchangePtr& exchange) { show_queue(context, exchange); })});
  router.add({"GET", "/v1/info",
              handled(ErrorShape::kOwn, [&context](const ExchangePtr& exchange) { show_info(context, exchange); })});
}

}  // namespace inkstone
