// Flags, environment and file of inkstone serve, and what its workers get of them.
#include "app/serve_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "app/command_line.h"
#include "app/config_file.h"
#include "app/environment.h"
#include "app/serve_devices.h"
#include "base/error.h"

namespace inkstone {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

Options options_of(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "serve");
  return parse_command_line(flags).options;
}

TEST(ServeSettings, flags_set_them) {
  const serve::ServeSettings settings = serve_settings(
      options_of({"--device", "cpu,npu:0, npu:1", "--workers", "2", "--port", "0", "--max-batch", "4", "--max-queue",
                  "9", "--batching", "static", "--grace", "1.5", "--keep-bytes", "1MiB", "--log-format", "json"}));
  EXPECT_THAT(settings.devices, ElementsAre("cpu", "npu:0", "npu:1"));
  EXPECT_EQ(settings.workers, 2);
  EXPECT_EQ(settings.http.port, 0);
  EXPECT_EQ(settings.max_batch, 4);
  EXPECT_EQ(settings.max_queue, 9);
  EXPECT_EQ(settings.max_per_client, 9);
  EXPECT_EQ(settings.batching, serve::Batching::kStatic);
  EXPECT_EQ(settings.grace, 1.5);
  EXPECT_EQ(settings.max_kept_bytes, 1 << 20);
  EXPECT_TRUE(settings.log_json);
  EXPECT_EQ(serve_settings({}).http.host, "127.0.0.1");
}

DeviceStatus chip(const std::string& name, bool present = true) {
  DeviceStatus status;
  status.name = name;
  status.present = present;
  if (!present) {
    status.absent_because = "no driver is here";
    status.way_out = "install the driver";
  }
  return status;
}

TEST(ServeSettings, cards_have_short_lists) {
  EXPECT_THAT(serve_settings(options_of({"--device", "npu:0,1, 3"})).devices, ElementsAre("npu:0", "npu:1", "npu:3"));
  EXPECT_THROW(serve_settings(options_of({"--device", "npu:0,1,npu:1"})), UsageError);
  EXPECT_THROW(serve_settings(options_of({"--device", "cpu,1"})), UsageError);
  const std::vector<DeviceStatus> there{chip("cpu"), chip("npu:0"), chip("npu:1", false), chip("npu:2")};
  EXPECT_THAT(with_all_npus({"cpu", "npu:all"}, there), ElementsAre("cpu", "npu:0", "npu:2"));
  const std::vector<DeviceStatus> none{chip("cpu"), chip("npu:0", false)};
  try {
    with_all_npus({"npu:all"}, none);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--device npu:all: install the driver: no driver is here");
  }
}

TEST(ServeSettings, a_queue_that_the_event_thread_does_not_bear_is_refused) {
  EXPECT_EQ(serve_settings(options_of({"--max-queue", "2000"})).max_queue, 2000);
  try {
    serve_settings(options_of({"--max-queue", "2001"}));
    FAIL() << "it was taken";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--max-queue 2001: at most 2000, because each order is weighed"));
  }
}

TEST(ServeSettings, devices_that_nobody_knows_or_that_stand_twice_are_refused) {
  for (const char* list : {"gpu", "cpu,cpu", ",", "cpu,tpu:0"})
    EXPECT_THROW(serve_settings(options_of({"--device", list})), UsageError) << list;
}

TEST(ServeSettings, a_flag_is_nearer_than_the_environment_and_that_nearer_than_a_file) {
  setenv("INKSTONE_MAX_QUEUE", "20", 1);
  setenv("INKSTONE_MAX_BATCH", "2", 1);
  setenv("INKSTONE_LOG_PROMPTS", "true", 1);
  Options options = options_of({"--max-batch", "3"});
  apply_environment(Command::kServe, options);
  apply_config("steps = 7\nmax-queue = 30\nport = 1\n[serve]\nport = 90\nworkers = 4\n[generate]\nseed = 1\n", "c.toml",
               options, Command::kServe);
  for (const char* name : {"INKSTONE_MAX_QUEUE", "INKSTONE_MAX_BATCH", "INKSTONE_LOG_PROMPTS"}) unsetenv(name);
  EXPECT_EQ(options.max_batch, 3);
  EXPECT_EQ(options.max_queue, 20);
  EXPECT_EQ(options.port, 90);
  EXPECT_EQ(options.workers, 4);
  EXPECT_EQ(options.log_prompts, true);
  EXPECT_FALSE(options.request.steps) << "that is for inkstone generate";
}

TEST(ServeSettings, what_is_wrong_is_named) {
  setenv("INKSTONE_PORT", "no", 1);
  Options options;
  try {
    apply_environment(Command::kServe, options);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("INKSTONE_PORT=no"));
  }
  unsetenv("INKSTONE_PORT");
  EXPECT_THROW(apply_config("[serve]\nsteps = 7\n", "c.toml", options, Command::kServe), UsageError);
  EXPECT_THROW(apply_config("max-qeue = 7\n", "c.toml", options, Command::kServe), UsageError);
}

TEST(ServeSettings, a_worker_gets_the_model_its_device_and_the_caps) {
  const Options options = options_of({"--model", "m", "--max-batch", "4", "--memory-budget", "1MiB", "--threads", "2"});
  const std::vector<std::string> program = worker_program(options, serve_settings(options))("npu:1");
  EXPECT_EQ(program[1], "worker");
  const Options worker = parse_command_line({program.begin() + 1, program.end()}).options;
  EXPECT_EQ(worker.model, "m");
  EXPECT_EQ(worker.device, "npu:1");
  EXPECT_EQ(worker.jobs, 4);
  EXPECT_EQ(worker.max_side, 2048);
  EXPECT_EQ(worker.memory_budget->bytes, size_t{1} << 20);
  EXPECT_EQ(worker.threads, 2);
}

}  // namespace
}  // namespace inkstone
