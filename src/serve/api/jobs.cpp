#include "serve/api/jobs.h"

#include <charconv>

#include "base/json.h"
#include "serve/api/answers.h"
#include "serve/api/event_stream.h"
#include "serve/api/fault.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

void list_jobs(ApiContext& context, const ExchangePtr& exchange) {
  JsonArray jobs;
  for (const OrderState* order : context.desk.orders_of(exchange->request().client))
    jobs.push_back(job_json(*order, context.desk.model()));
  exchange->reply(json_reply(200, JsonObject{{"jobs", std::move(jobs)}}));
}

void show_job(ApiContext& context, const ExchangePtr& exchange) {
  exchange->reply(json_reply(200, job_json(order_of(context.desk, exchange->request()), context.desk.model())));
}

void cancel_job(ApiContext& context, const ExchangePtr& exchange) {
  const OrderState& order = order_of(context.desk, exchange->request());
  if (!order.ended()) context.desk.cancel(order);
  show_job(context, exchange);
}

void show_image(ApiContext& context, const ExchangePtr& exchange) {
  const HttpRequest& request = exchange->request();
  const OrderState& order = order_of(context.desk, request);
  const std::string_view number = request.capture("n");
  size_t index = 0;
  const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (fault != std::errc() || end != number.data() + number.size() || index >= order.pictures.size())
    refuse(404, "not_found", "the job has " + std::to_string(order.pictures.size()) + " pictures, numbered from 0");
  const PictureState& picture = order.pictures[index];
  if (picture.stage == Stage::kFailed) throw ApiFault(error_of(picture.failure));
  if (picture.stage == Stage::kCancelled) refuse(409, "cancelled", "the job was cancelled");
  if (picture.stage != Stage::kDone)
    throw ApiFault({409, "not_done", "the picture is not done yet", "", picture.seconds_left});
  if (!picture.file) refuse(410, "gone", "the picture is no longer kept");
  HttpReply reply = picture_reply(order, index);
  if (request.parameter("download"))
    reply.headers.emplace_back("content-disposition", "attachment; filename=\"inkstone-" +
                                                          std::to_string(order.order.pictures[index].seed) + "." +
                                                          std::string(format_name(order.order.format)) + "\"");
  exchange->reply(std::move(reply));
}

void show_events(ApiContext& context, const ExchangePtr& exchange) {
  stream_order(context.desk, exchange, order_of(context.desk, exchange->request()), PicturesAs::kLinks);
}

}  // namespace

void add_job_routes(Router& router, ApiContext& context) {
  const auto add = [&](const char* method, const char* pattern, void (*body)(ApiContext&, const ExchangePtr&)) {
    router.add({method, pattern,
                handled(ErrorShape::kOwn, [&context, body](const ExchangePtr& exchange) { body(context, exchange); })});
  };
  add("GET", "/jobs", list_jobs);
  add("GET", "/jobs/{id}", show_job);
  add("DELETE", "/jobs/{id}", cancel_job);
  add("GET", "/jobs/{id}/images/{n}", show_image);
  add("GET", "/jobs/{id}/events", show_events);
}

}  // namespace inkstone
