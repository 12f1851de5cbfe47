#include "fakes.h"

#include <gtest/gtest.h>

namespace inkstone::serve {

FakeImageService::FakeImageService() {
  card.name = card.file = "demo";
  card.hash = std::string(64, 'a');
  card.traits.scheduler = std::make_shared<const Json>(
      JsonObject{{"_class_name", "PNDMScheduler"}, {"skip_prk_steps", true}, {"steps_offset", 1}});
  card.traits.text_layers = 12;
  card.traits.controls = {{"edges", 0, 1}, {"sketch", 4, 64}};
  card.traits.encodes = true;
  card.limits.max_pixels = 1024 * 1024;
  card.limits.approximations = false;
  card.created = 1700000000;
  card.embeddings = {{"style", 2, 768, false}, {"of-xl", 0, 0, true}};
  told_figures.ready = true;
  told_figures.canary_limit = 60;
}

SubmitResult FakeImageService::submit(Order order) {
  if (rejection) return {nullptr, false, *rejection};
  for (const OrderState& known : orders)
    if (!order.idempotency.empty() && known.order.idempotency == order.idempotency &&
        known.order.client == order.client)
      return {&known, true, {}};
  OrderState state;
  state.id = std::string(31, '0') + std::to_string(orders.size());
  state.created = 1700000001;
  for (const RequestPtr& request : order.images) {
    ImageState image;
    image.calls = request->evaluations();
    image.seconds_left = 3;
    state.images.push_back(image);
  }
  state.order = std::move(order);
  orders.push_back(std::move(state));
  return {&orders.back(), false, {}};
}

const OrderState* FakeImageService::find(std::string_view id, std::string_view client) {
  for (const OrderState& order : orders)
    if (order.id == id && order.order.client == client) return &order;
  return nullptr;
}

std::vector<const OrderState*> FakeImageService::orders_of(std::string_view client) {
  std::vector<const OrderState*> result;
  for (const OrderState& order : orders)
    if (order.order.client == client) result.push_back(&order);
  return result;
}

void FakeImageService::watch(const OrderState& order, OrderWatcher& watcher) {
  watchers.emplace_back(order.id, &watcher);
}

void FakeImageService::unwatch(const OrderState& order, OrderWatcher& watcher) {
  std::erase(watchers, std::pair(order.id, &watcher));
  const bool watched = std::ranges::any_of(watchers, [&](const auto& entry) { return entry.first == order.id; });
  if (!watched && !order.order.stays && !order.ended()) cancel(order);
}

bool FakeImageService::cancel(const OrderState& order) {
  if (order.ended()) return false;
  ++cancels;
  OrderState& mine = known(order);
  for (ImageState& image : mine.images)
    if (!ended(image.stage)) image.stage = Stage::kCancelled;
  tell(mine, 0);
  return true;
}

bool FakeImageService::cut_short(const OrderState& order) {
  if (order.ended()) return false;
  ++cuts;
  known(order).images[0].cut_short = true;
  return true;
}

void FakeImageService::step(size_t image, int calls, bool preview) {
  ImageState& state = last().images[image];
  state.stage = Stage::kDenoise;
  state.call += calls;
  if (preview) {
    const ResolvedRequest& request = *last().order.images[image];
    constexpr int kPixels = 32;  // of the image, for each of the preview's
    Image small{request.width / kPixels, request.height / kPixels, {}};
    small.rgb.resize(3 * static_cast<size_t>(small.width) * static_cast<size_t>(small.height), 99);
    state.preview = std::make_shared<Image>(std::move(small));
    state.preview_call = state.call;
  }
  tell(last(), image);
}

void FakeImageService::move_to(int position) {
  last().position = position;
  tell(last(), 0);
}

void FakeImageService::finish(size_t image, const std::string& file) {
  ImageState& state = last().images[image];
  state.stage = Stage::kDone;
  state.call = state.calls;
  state.file = std::make_shared<std::string>(file);
  state.parameters = "the parameters of " + file;
  state.times = {1, 0.5, 2, 0.25, 0.125, 4};
  tell(last(), image);
}

void FakeImageService::finish_all() {
  for (size_t i = 0; i < last().images.size(); ++i) finish(i, "image " + std::to_string(i));
}

void FakeImageService::fail(size_t image, const std::string& code, bool again) {
  last().images[image].stage = Stage::kFailed;
  last().images[image].failure = {code, "it went wrong", again};
  tell(last(), image);
}

const std::vector<ServedModel>& FakeImageService::models() const {
  models_.clear();
  if (!ready) return models_;
  models_.push_back({card.name, {}, card, {}, {}});
  models_.insert(models_.end(), others.begin(), others.end());
  return models_;
}

OrderState& FakeImageService::known(const OrderState& order) {
  for (OrderState& mine : orders)
    if (mine.id == order.id) return mine;
  throw std::logic_error("a strange order");
}

void FakeImageService::tell(OrderState& order, size_t image) {
  const auto now = watchers;  // they may leave meanwhile
  for (const auto& entry : now)
    if (entry.first == order.id && std::ranges::find(watchers, entry) != watchers.end())
      entry.second->changed(order, image);
  if (order.ended()) std::erase_if(watchers, [&](const auto& entry) { return entry.first == order.id; });
}

void FakeExchange::reply(http::Reply with) {
  EXPECT_FALSE(answer) << "a second answer: " << with.body;
  EXPECT_FALSE(streaming);
  sent = with.shared_body;
  if (sent) with.body = *sent;
  answer = std::move(with);
  gone_ = nullptr;
}

void FakeExchange::begin_stream(http::Reply head) {
  EXPECT_FALSE(answer);
  answer = std::move(head);
  streaming = true;
}

void FakeExchange::disconnect() {
  if (const auto gone = std::exchange(gone_, nullptr)) gone();
}

std::vector<Json> FakeExchange::events(const std::string& name) const {
  std::vector<Json> found;
  const std::string head = "event: " + name + "\ndata: ";
  for (size_t at = stream.find(head); at != stream.npos; at = stream.find(head, at + 1)) {
    const size_t begin = at + head.size(), end = stream.find("\n\n", begin);
    found.push_back(parse_json(stream.substr(begin, end - begin), name));
  }
  return found;
}

Json FakeExchange::json() const { return answer ? parse_json(answer->body, "answer") : Json(); }

std::string FakeExchange::header(const std::string& name) const {
  if (answer)
    for (const auto& [key, value] : answer->headers)
      if (key == name) return value;
  return "";
}

FakeServer::FakeServer() {
  add_generate_routes(router, context);
  add_openai_routes(router, context);
  add_a1111_routes(router, context);
  add_oip_routes(router, context);
  add_health_routes(router, context);
}

FakeServer::~FakeServer() {
  for (const auto& exchange : exchanges)
    if (const auto there = exchange.lock()) there->disconnect();
}

std::shared_ptr<FakeExchange> FakeServer::ask(const Ask& ask) {
  auto exchange = std::make_shared<FakeExchange>();
  exchanges.push_back(exchange);
  http::Request& request = exchange->asked;
  request.method = ask.method;
  request.path = ask.path;
  request.query = ask.query;
  request.headers = ask.headers;
  request.body = ask.body;
  request.client = ask.client;
  request.prefix = ask.prefix;
  for (const auto& [name, value] : ask.headers)
    if (name == "x-forwarded-proto") request.scheme = value;
  request.id = "r1";
  if (!ask.body.empty() && request.header("content-type").empty())
    request.headers.emplace_back("content-type", "application/json");
  const http::Router::Match match = router.match(ask.method, ask.path);
  EXPECT_NE(match.route, nullptr) << ask.method << " " << ask.path;
  if (!match.route) return exchange;
  request.captured = match.captured;
  match.route->handler(exchange);
  return exchange;
}

std::string message_of(const Json& error) {
  return std::string(error.as_object().at("error").as_object().at("message").as_string());
}

}  // namespace inkstone::serve
