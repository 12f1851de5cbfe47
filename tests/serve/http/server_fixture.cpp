#include "serve/http/server_fixture.h"

#include <boost/json/serialize.hpp>
#include <chrono>

#include "base/error.h"
#include "base/json.h"

namespace inkstone::http {
namespace {

void echo(const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  JsonObject said{{"method", request.method}, {"path", request.path},       {"body", request.body},
                  {"client", request.client}, {"address", request.address}, {"id", request.id}};
  said["base"] = request.scheme + "://" + std::string(request.header("host")) + request.prefix;
  said["trace"] = request.trace;
  for (const auto& [name, value] : request.query) said["query " + name] = value;
  for (const auto& [name, value] : request.captured) said["captured " + name] = value;
  Reply reply;
  reply.body = boost::json::serialize(said);
  exchange->reply(std::move(reply));
}

}  // namespace

Settings ServerFixture::quick() {
  Settings settings;
  settings.port = 0;
  settings.header_seconds = settings.body_seconds = settings.write_seconds = 0.3;
  return settings;
}

ServerFixture::ServerFixture(Settings settings) : work_(events.get_executor()) {
  Router router;
  add_routes(router);
  server.emplace(events, std::move(settings), std::move(router));
  port = server->port();
  thread_ = std::thread([this] {
    while (events.run_one()) ++turns;
  });
}

ServerFixture::~ServerFixture() {
  at([this] {
    held.clear();
    server.reset();
  });
  work_.reset();
  events.stop();
  thread_.join();
}

bool ServerFixture::becomes(const std::function<bool()>& true_now) {
  for (int i = 0; i < 1000; ++i) {
    if (at(true_now)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void ServerFixture::add_routes(Router& router) {
  router.add({"GET", "/health/live",
              [](const ExchangePtr& exchange) {
                exchange->reply({200, "application/json", "{}", {}});
              },
              ErrorShape::kOwn, true});
  for (const auto& [path, shape] : {std::pair("/echo", ErrorShape::kOwn),
                                    {"/v1/images/generations", ErrorShape::kOpenAi},
                                    {"/sdapi/v1/txt2img", ErrorShape::kA1111},
                                    {"/v2/models/{model}", ErrorShape::kOip}})
    for (const char* method : {"GET", "POST"}) router.add({method, path, echo, shape});
  router.add({"DELETE", "/jobs/{id}", echo});
  router.add({"GET", "/jobs/{id}", echo});
  router.add({"GET", "/jobs/all", echo});
  Route pictures{"POST", "/pictures", echo};
  pictures.pictures = true;
  router.add(std::move(pictures));
  const auto hold = [this](const ExchangePtr& exchange) {
    held.push_back(exchange);
    exchange->on_gone([this] { ++gone; });
  };
  router.add({"GET", "/hold", hold});
  router.add({"POST", "/hold-body", hold});
  router.add({"GET", "/stream", [hold](const ExchangePtr& exchange) {
                hold(exchange);
                exchange->begin_stream({200, "text/event-stream", "", {}});
              }});
  Route absent{"POST", "/absent", [](const ExchangePtr& exchange) {
                 exchange->reply({501, "application/json", "{}"});
               }};
  absent.at_head = true;
  router.add(std::move(absent));
  router.add({"GET", "/drop", [](const ExchangePtr&) {}});
  // Handlers that answer again what failed.
  router.add({"GET", "/again", [](const ExchangePtr& exchange) {
                try {
                  echo(exchange);
                } catch (const std::exception&) {
                  echo(exchange);
                }
              }});
  router.add({"GET", "/stream-again", [](const ExchangePtr& exchange) {
                const auto stream = [&] {
                  exchange->begin_stream({200, "text/event-stream", "", {}});
                  exchange->end_stream();
                };
                try {
                  stream();
                } catch (const std::exception&) {
                  stream();
                }
              }});
  router.add({"GET", "/throw", [](const ExchangePtr&) { throw std::runtime_error("secret at 0x1234"); }});
  router.add({"GET", "/usage", [](const ExchangePtr&) { throw UsageError("steps must be at least 1"); }});
  router.add({"GET", "/split", [](const ExchangePtr& exchange) {
                exchange->reply({200, "text/plain", "", {{"x-name", *exchange->request().parameter("name")}}});
              }});
  router.add({"GET", "/image", [](const ExchangePtr& exchange) {
                exchange->reply({200, "image/png", std::string(32 << 20, 'p'), {{"Cache-Control", "max-age=60"}}});
              }});
}

}  // namespace inkstone::http
