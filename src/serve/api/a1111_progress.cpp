// progress, interrupt and skip, of the client's own jobs of this API: nobody stops or sees
// another's.
#include <algorithm>

#include "base/base64.h"
#include "serve/api/a1111.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

std::vector<const OrderState*> under_way(A1111State& state, const http::Request& request) {
  std::vector<const OrderState*> orders = state.context.service.orders_of(request.client);
  std::erase_if(orders, [](const OrderState* order) { return order->order.api != "a1111" || order->ended(); });
  std::ranges::stable_sort(orders, {}, [](const OrderState* order) { return order->arrival; });
  return orders;
}

JsonObject idle_json() {
  return {{"progress", 0.0},
          {"eta_relative", 0.0},
          {"state", JsonObject{{"skipped", false},
                               {"interrupted", false},
                               {"stopping_generation", false},
                               {"job", ""},
                               {"job_count", 0},
                               {"job_timestamp", "0"},
                               {"job_no", 0},
                               {"sampling_step", 0},
                               {"sampling_steps", 0}}},
          {"current_image", nullptr},
          {"textinfo", nullptr}};
}

JsonObject progress_json(const OrderState& order, bool with_image) {
  size_t current = 0;
  while (current + 1 < order.images.size() && ended(order.images[current].stage)) ++current;
  const ImageState& image = order.images[current];
  JsonObject json = idle_json();
  json["progress"] = progress_of(order);
  json["eta_relative"] = seconds_left(order);
  JsonObject& state = json["state"].as_object();
  state["interrupted"] = image.cut_short;
  state["job"] = order.order.tag.empty() ? "txt2img" : order.order.tag;
  state["job_count"] = order.images.size();
  state["job_timestamp"] = std::to_string(order.created);
  state["job_no"] = current;
  const StepCount count = steps_of(order, current);
  state["sampling_step"] = count.step;
  state["sampling_steps"] = count.steps;
  if (with_image && image.preview) json["current_image"] = base64(preview_png(image));
  if (image.stage == Stage::kQueued) json["textinfo"] = "Waiting...";
  return json;
}

void show_progress(A1111State& state, const http::ExchangePtr& exchange) {
  const http::Request& request = exchange->request();
  const std::string* skip = request.parameter("skip_current_image");
  const bool with_image = !skip || (*skip != "true" && *skip != "True" && *skip != "1");
  const auto orders = under_way(state, request);
  exchange->reply(json_reply(200, orders.empty() ? idle_json() : progress_json(*orders.front(), with_image)));
}

void interrupt(A1111State& state, const http::ExchangePtr& exchange) {
  for (const OrderState* order : under_way(state, exchange->request())) state.context.service.cut_short(*order);
  exchange->reply(json_reply(200, JsonObject{}));
}

void skip(A1111State& state, const http::ExchangePtr& exchange) {
  const auto orders = under_way(state, exchange->request());
  if (!orders.empty()) state.context.service.cut_short(*orders.front());
  exchange->reply(json_reply(200, nullptr));
}

}  // namespace

void add_a1111_progress(http::Router& router, const std::shared_ptr<A1111State>& state) {
  add_a1111_route(router, state, "GET", "progress", show_progress);
  add_a1111_route(router, state, "POST", "interrupt", interrupt);
  add_a1111_route(router, state, "POST", "skip", skip);
}

}  // namespace inkstone::serve
