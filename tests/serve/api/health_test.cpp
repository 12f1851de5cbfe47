// Health and figures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

TEST(Health, lives_while_the_canary_comes_through) {
  FakeServer server;
  server.service.told_figures.canary_age = 60;
  EXPECT_EQ(server.ask({"GET", "/health/live"})->answer->status, 200);
  server.service.told_figures.canary_age = 60.5;
  const auto stuck = server.ask({"GET", "/health/live"});
  EXPECT_EQ(stuck->answer->status, 503);
  EXPECT_EQ(stuck->json().at("canary_age").as_double(), 60.5);
  EXPECT_EQ(stuck->json().at("canary_limit").as_double(), 60);
}

TEST(Health, answers_under_the_names_that_others_ask_for) {
  FakeServer server;
  for (const char* path : {"/health", "/health/", "/healthz", "/ping"}) {
    server.service.told_figures.canary_age = 0;
    EXPECT_EQ(server.ask({"GET", path})->answer->status, 200) << path;
    EXPECT_TRUE(server.router.match("GET", path).route->open) << path;
    server.service.told_figures.canary_age = 61;
    EXPECT_EQ(server.ask({"GET", path})->answer->status, 503) << path;
  }
  EXPECT_EQ(server.ask({"GET", "/internal/ping"})->answer->body, "{}");
}

TEST(Health, is_ready_until_it_drains) {
  FakeServer server;
  EXPECT_EQ(server.ask({"GET", "/health/ready"})->answer->status, 200);
  server.service.told_figures.draining = true;
  EXPECT_EQ(server.ask({"GET", "/health/ready"})->json().at("status").as_string(), "draining");
  server.service.told_figures = {};
  EXPECT_EQ(server.ask({"GET", "/health/ready"})->json().at("status").as_string(), "starting");
  EXPECT_EQ(server.ask({"GET", "/health/ready"})->answer->status, 503);
}

TEST(Health, needs_no_key_and_metrics_do) {
  FakeServer server;
  EXPECT_TRUE(server.router.match("GET", "/health/live").route->open);
  EXPECT_TRUE(server.router.match("GET", "/health/ready").route->open);
  EXPECT_FALSE(server.router.match("GET", "/metrics").route->open);
}

TEST(Metrics, are_written_as_prometheus_reads_them) {
  FakeServer server;
  ServiceFigures& figures = server.service.told_figures;
  figures.done = 7;
  figures.rejected = {{"queue_full", 3}};
  figures.step_seconds = {{0.1, 1}, {2, 5, 6}, 4.5};
  figures.workers.resize(2);
  figures.workers[1].device = "npu:\"0\"";
  figures.workers[1].restarts = 2;
  figures.workers[1].curves = {{512, 512, {{2, 0.5}}, 0.1, 0.2}};
  figures.workers[1].device_figures.fragmentation = 0.25;
  server.http.answers = {{200, 11}};
  const auto exchange = server.ask({"GET", "/metrics"});
  EXPECT_EQ(exchange->answer->content_type, "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"# TYPE inkstone_images_total counter", "inkstone_images_total{end=\"done\"} 7",
        "inkstone_rejected_total{code=\"queue_full\"} 3", "inkstone_step_seconds_bucket{le=\"0.1\"} 2",
        "inkstone_step_seconds_bucket{le=\"1\"} 5", "inkstone_step_seconds_bucket{le=\"+Inf\"} 6",
        "inkstone_step_seconds_count 6", "inkstone_step_seconds_sum 4.5",
        "inkstone_worker_restarts_total{worker=\"1\",device=\"npu:\\\"0\\\"\"} 2",
        "size=\"512x512\",batch_rows=\"2\"} 0.5", "inkstone_http_answers_total{status=\"200\"} 11",
        "inkstone_device_memory_fragmentation{worker=\"1\""})
    EXPECT_THAT(exchange->answer->body, HasSubstr(line));
  std::set<std::string> types;
  std::istringstream lines(exchange->answer->body);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# TYPE")) {
      EXPECT_TRUE(types.insert(line).second) << line << " stands twice";
    }
}

TEST(Queue, tells_how_it_stands_and_names_nobody) {
  FakeServer server;
  server.ask({"POST", "/generate", R"({"prompt": "a secret", "async": true})"});
  server.service.told_figures.queued = 4;
  server.service.told_figures.workers.resize(1);
  server.service.told_figures.workers[0].memory = {"weights 1.7 GB"};
  server.service.told_figures.workers[0].curves = {{512, 512, {{2, 0.5}, {4, 0.9}}, 0.1, 0.2}};
  const auto exchange = server.ask({"GET", "/queue", "", {}, {}, "key:other"});
  EXPECT_EQ(exchange->json().at("queued").as_int64(), 4);
  EXPECT_EQ(exchange->json().at("workers").at(0).at("memory").at(0).as_string(), "weights 1.7 GB");
  EXPECT_EQ(exchange->json().at("workers").at(0).at("curves").at(0).at("steps").at(1).at("batch_rows").as_int64(), 4);
  EXPECT_THAT(exchange->answer->body, testing::Not(HasSubstr("secret")));
  EXPECT_EQ(server.ask({"GET", "/v1/info"})->json().at("limits").at("size_multiple").as_int64(), 64);
}

}  // namespace
}  // namespace inkstone::serve
