// Health and figures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>

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
  figures.workers[1].curves = {{"demo <lora:a:1>\ndemo\n0123", {512, 512, {{2, 0.5}}, 0.1, 0.2}}};
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

// An alert on a rise sees the first one only if there was a zero before.
TEST(Metrics, counters_are_there_from_zero) {
  FakeServer server;
  const std::string text = server.ask({"GET", "/metrics"})->answer->body;
  for (const char* code : kRejectionCodes)
    EXPECT_THAT(text, HasSubstr("inkstone_rejected_total{code=\"" + std::string(code) + "\"} 0\n"));
  for (const char* code : kFailureCodes)
    EXPECT_THAT(text, HasSubstr("inkstone_failures_total{code=\"" + std::string(code) + "\"} 0\n"));
  for (const char* line : {"inkstone_worker_deaths_total 0", "inkstone_retries_total 0",
                           "inkstone_images_total{end=\"failed\"} 0", "inkstone_http_answers_total{status=\"503\"} 0"})
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
}

double value_of(const std::string& text, const std::string& metric) {
  const size_t at = text.find("\n" + metric + " ");
  return at == text.npos ? -1 : std::stod(text.substr(at + metric.size() + 2));
}

TEST(Metrics, tell_of_the_processes_and_the_model) {
  FakeServer server;
  server.service.told_figures.workers.resize(2);
  server.service.told_figures.workers[0].device = server.service.told_figures.workers[1].device = "cpu";
  server.service.told_figures.workers[0].pid = getpid();  // any process that is there
  const std::string text = server.ask({"GET", "/metrics"})->answer->body;
  EXPECT_GT(value_of(text, "process_cpu_seconds_total"), 0);
  EXPECT_GT(value_of(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(value_of(text, "process_virtual_memory_bytes"), value_of(text, "process_resident_memory_bytes"));
  EXPECT_GT(value_of(text, "process_open_fds"), 2);
  EXPECT_GE(value_of(text, "process_max_fds"), value_of(text, "process_open_fds"));
  EXPECT_NEAR(value_of(text, "process_start_time_seconds"), double(std::time(nullptr)), 3600);
  EXPECT_GT(value_of(text, "inkstone_worker_resident_bytes{worker=\"0\",device=\"cpu\"}"), 1e6);
  EXPECT_EQ(value_of(text, "inkstone_worker_resident_bytes{worker=\"1\",device=\"cpu\"}"), 0);
  EXPECT_EQ(value_of(text, "inkstone_model_info{model=\"demo\",hash=\"" + std::string(64, 'a') + "\"}"), 1);
  server.service.ready = false;
  EXPECT_THAT(server.ask({"GET", "/metrics"})->answer->body, testing::Not(HasSubstr("inkstone_model_info")));
}

TEST(Metrics, tell_what_a_cards_driver_says_and_nothing_else) {
  FakeServer server;
  server.context.device_readings = [] {
    return std::vector<DeviceReading>{{"npu:0", "Ascend910B4", 0.63, 88.5, 46, true, 34e9, 30e9},
                                      {"npu:1", "Ascend910B4", {}, {}, 51, false, {}, {}}};
  };
  const std::string text = server.ask({"GET", "/metrics"})->answer->body;
  const std::string first = "{device=\"npu:0\",chip=\"Ascend910B4\"}",
                    second = "{device=\"npu:1\",chip=\"Ascend910B4\"}";
  EXPECT_EQ(value_of(text, "inkstone_device_ai_core_ratio" + first), 0.63);
  EXPECT_EQ(value_of(text, "inkstone_device_power_watts" + first), 88.5);
  EXPECT_EQ(value_of(text, "inkstone_device_temperature_celsius" + second), 51);
  EXPECT_EQ(value_of(text, "inkstone_device_driver_memory_bytes" + first), 34e9);
  EXPECT_EQ(value_of(text, "inkstone_device_driver_memory_free_bytes" + first), 30e9);
  EXPECT_EQ(value_of(text, "inkstone_device_driver_healthy" + first), 1);
  EXPECT_EQ(value_of(text, "inkstone_device_driver_healthy" + second), 0);
  EXPECT_THAT(text, testing::Not(HasSubstr("inkstone_device_power_watts" + second)));
}

TEST(Queue, tells_how_it_stands_and_names_nobody) {
  FakeServer server;
  server.ask({"POST", "/generate", R"({"prompt": "a secret", "async": true})"});
  server.service.told_figures.queued = 4;
  server.service.told_figures.workers.resize(1);
  server.service.told_figures.workers[0].memory = {"weights 1.7 GB"};
  server.service.told_figures.workers[0].curves = {{"demo", {512, 512, {{2, 0.5}, {4, 0.9}}, 0.1, 0.2}}};
  const auto exchange = server.ask({"GET", "/queue", "", {}, {}, "key:other"});
  EXPECT_EQ(exchange->json().at("queued").as_int64(), 4);
  EXPECT_EQ(exchange->json().at("workers").at(0).at("memory").at(0).as_string(), "weights 1.7 GB");
  EXPECT_EQ(exchange->json().at("workers").at(0).at("curves").at(0).at("steps").at(1).at("batch_rows").as_int64(), 4);
  EXPECT_THAT(exchange->answer->body, testing::Not(HasSubstr("secret")));
  EXPECT_EQ(server.ask({"GET", "/v1/info"})->json().at("limits").at("size_multiple").as_int64(), 8);
}

}  // namespace
}  // namespace inkstone::serve
