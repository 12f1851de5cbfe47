#include "serve/api/jobs.h"

#include <charconv>

#include "base/image_file.h"
#include "serve/api/answers.h"
#include "serve/api/event_stream.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

void list_jobs(ApiContext& context, const http::ExchangePtr& exchange) {
  exchange->reply(jobs_reply(context.service.orders_of(exchange->request().client), context.service.model()));
}

void show_job(ApiContext& context, const http::ExchangePtr& exchange) {
  exchange->reply(job_reply(200, order_of(context.service, exchange->request()), context.service.model()));
}

void cancel_job(ApiContext& context, const http::ExchangePtr& exchange) {
  const OrderState& order = order_of(context.service, exchange->request());
  if (!order.ended()) context.service.cancel(order);
  show_job(context, exchange);
}

void show_image(ApiContext& context, const http::ExchangePtr& exchange) {
  const http::Request& request = exchange->request();
  const OrderState& order = order_of(context.service, request);
  const std::string_view number = request.capture("n");
  size_t index = 0;
  const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (fault != std::errc() || end != number.data() + number.size() || index >= order.images.size())
    refuse(404, "not_found", "the job has " + std::to_string(order.images.size()) + " images, numbered from 0");
  const ImageState& image = order.images[index];
  if (image.stage == Stage::kFailed) throw ApiFault(error_of(image.failure));
  if (image.stage == Stage::kCancelled) refuse(409, "cancelled", "the job was cancelled");
  if (image.stage != Stage::kDone)
    throw ApiFault({409, "not_done", "the image is not done yet", "", image.seconds_left});
  if (!image.file) refuse(410, "gone", "the image is no longer kept");
  http::Reply reply = image_reply(order, index);
  if (request.parameter("download"))
    reply.headers.emplace_back("content-disposition", "attachment; filename=\"inkstone-" +
                                                          std::to_string(order.order.images[index]->seed) + "." +
                                                          std::string(format_name(order.order.format)) + "\"");
  exchange->reply(std::move(reply));
}

void show_events(ApiContext& context, const http::ExchangePtr& exchange) {
  stream_order(context.service, exchange, order_of(context.service, exchange->request()), ImagesAs::kLinks);
}

}  // namespace

void add_job_routes(http::Router& router, ApiContext& context) {
  const auto add = [&](const char* method, const char* pattern, void (*body)(ApiContext&, const http::ExchangePtr&)) {
    router.add({method, pattern, handled(http::ErrorShape::kOwn, [&context, body](const http::ExchangePtr& exchange) {
                  body(context, exchange);
                })});
  };
  add("GET", "/jobs", list_jobs);
  add("GET", "/jobs/{id}", show_job);
  add("DELETE", "/jobs/{id}", cancel_job);
  add("GET", "/jobs/{id}/images/{n}", show_image);
  add("GET", "/jobs/{id}/events", show_events);
}

}  // namespace inkstone::serve
