#include "serve/api/jobs.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "base/image_file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "serve/api/answers.h"
#include "serve/api/event_stream.h"
#include "serve/api/fault.h"
#include "serve/api/fields.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

// A client may have thousands of jobs, and asks for this list at no cost to itself.
void list_jobs(ApiContext& context, const http::ExchangePtr& exchange) {
  constexpr size_t kUsual = 20, kMax = 100;
  const http::Request& request = exchange->request();
  Fields query(JsonObject(), Manner::kStrict);
  query.add_query(request);
  const auto limit = static_cast<size_t>(query.integer("limit", 1, kMax).value_or(kUsual));
  const std::string before = query.text("before", kMaxWordBytes).value_or("");
  std::vector<const OrderState*> orders = context.service.orders_of(request.client);
  std::ranges::reverse(orders);
  std::ranges::stable_sort(orders, std::ranges::greater(), &OrderState::arrival);
  auto first = orders.begin();
  if (!before.empty()) {
    first = std::ranges::find(orders, before, &OrderState::id);
    if (first == orders.end())
      refuse(404, "not_found", "no job of yours has the id \"" + shown(before) + "\"", "before");
    ++first;
  }
  const auto end = first + static_cast<std::ptrdiff_t>(std::min(limit, static_cast<size_t>(orders.end() - first)));
  JsonArray jobs;
  for (auto order = first; order != end; ++order) jobs.push_back(job_row_json(**order, request.prefix));
  JsonObject json{{"jobs", std::move(jobs)}};
  if (end != orders.end())
    json["next"] = request.prefix + "/jobs?limit=" + std::to_string(limit) + "&before=" + (*(end - 1))->id;
  exchange->reply(json_reply(200, json));
}

void show_job(ApiContext& context, const http::ExchangePtr& exchange) {
  const http::Request& request = exchange->request();
  exchange->reply(job_reply(200, order_of(context.service, request), request.prefix));
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
