// What `inkstone devices` shows. Its NPUs here are those of a fake libdcmi.so (tests/backend/fake), never hardware.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "app/command_line.h"
#include "app/devices_report.h"
#include "app/program.h"
#include "base/error.h"
#include "base/json.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kGib = uint64_t{1} << 30;

DeviceStatus npu() {
  DeviceStatus device;
  device.name = "npu:0";
  device.chip = "Ascend910B4";
  device.description = "card 0, chip 0";
  device.present = true;
  device.memory_total = 32 * kGib;
  device.memory_free = 24 * kGib;
  device.largest_free_block = 6 * kGib;
  device.ai_core_percent = 63;
  device.power_w = 88.9;
  device.health = "alarm";
  device.health_code = 2;
  device.faults = {0x80e01801u};
  device.driver_version = "25.0";
  device.source = "DCMI";
  device.notes = {"temperature: DCMI -8006 (timeout)"};
  device.processes = {{4321, "python", 3 * kGib}};
  return device;
}

std::string table(const DeviceStatus& device, bool verbose = false) { return devices_table({&device, 1}, verbose); }

TEST(DevicesTable, shows_what_is_known_and_a_dash_for_what_is_not) {
  const std::string text = table(npu());
  EXPECT_THAT(text, HasSubstr("npu:0   Ascend910B4, card 0, chip 0"));
  EXPECT_THAT(text, HasSubstr("24.0 GiB   32.0 GiB     63 %       -       -   88.9 W  alarm (0x2)\n"));
  EXPECT_THAT(text, HasSubstr("driver 25.0, told by DCMI\n"));
  EXPECT_THAT(text, HasSubstr("npu:0: fault codes 0x80e01801"));
  EXPECT_THAT(text, HasSubstr("npu:0: temperature: DCMI -8006 (timeout)\n"));
  EXPECT_THAT(text, Not(HasSubstr("4321")));
  EXPECT_THAT(table(npu(), true),
              AllOf(HasSubstr("fragmentation         75 %"), HasSubstr("4321 python 3.00 GiB"), HasSubstr("DCMI")));
}

TEST(DevicesTable, says_simulated_and_shows_no_control_characters) {
  DeviceStatus device = npu();
  EXPECT_THAT(table(device), Not(HasSubstr("simulated")));
  device.simulated = true;
  device.chip = "A\nB\x1b[31m";
  EXPECT_THAT(table(device), AllOf(HasSubstr("(simulated)"), Not(HasSubstr("\x1b")), HasSubstr("A B")));
}

TEST(DevicesTable, an_absent_device_says_why_and_what_to_do_in_lines_that_fit) {
  DeviceStatus device;
  device.name = "npu:0";
  device.absent_because = "the driver is not here";
  for (int i = 0; i < 60; ++i) device.way_out += "word" + std::to_string(i) + " ";
  const std::string text = table(device);
  EXPECT_THAT(text, AllOf(HasSubstr("npu:0   absent: the driver is not here\n        -> word0"), HasSubstr("word59")));
  size_t begin = 0;
  for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 120u) << text.substr(begin, end - begin);
}

TEST(DevicesJson, what_is_unknown_is_null_and_never_0) {
  const JsonObject object = devices_json(std::vector{npu()});
  const Json& device = object.at("devices").at(0);
  EXPECT_EQ(device.at("memory_free_bytes").to_number<uint64_t>(), 24 * kGib);
  EXPECT_EQ(device.at("fragmentation").as_double(), 0.75);
  EXPECT_EQ(device.at("health_code").to_number<int>(), 2);
  EXPECT_EQ(device.at("faults").at(0).as_string(), "0x80e01801");
  EXPECT_EQ(device.at("processes").at(0).at("memory_bytes").to_number<uint64_t>(), 3 * kGib);
  for (const char* key :
       {"vector_percent", "temperature_celsius", "memory_used_by_us_bytes", "cann_version", "bus_id", "absent_because"})
    EXPECT_TRUE(device.at(key).is_null()) << key;
}

TEST(DevicesCommand, watch_takes_seconds_or_its_usual_two) {
  const auto watch = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), "devices");
    const CommandLine line = parse_command_line(flags);
    EXPECT_EQ(line.command, Command::kDevices);
    return line.options.watch;
  };
  EXPECT_EQ(watch({}), std::nullopt);
  EXPECT_EQ(watch({"--watch"}), 2.0f);
  EXPECT_EQ(watch({"--watch", "--json"}), 2.0f);
  EXPECT_EQ(watch({"--watch", "0.5"}), 0.5f);
  EXPECT_EQ(watch({"--watch=10", "--verbose"}), 10.0f);
  for (const char* wrong : {"0", "-1", "nan", "1e9", "soon"})
    EXPECT_THROW(watch({std::string("--watch=") + wrong}), UsageError) << wrong;
}

class DevicesProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (program_path().empty()) GTEST_SKIP() << "the program is not built: build the target inkstone";
    program_.environment = {{"INKSTONE_DCMI_LIBRARY", INKSTONE_FAKE_DCMI}, {"INKSTONE_NPU_SMI", "/no/npu-smi"}};
  }

  ProgramRun program_;
};

TEST_F(DevicesProgram, prints_a_table) {
  const Outcome outcome = program_.run({"devices"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("\ncpu "), HasSubstr("\ncuda:0  absent: this build has no CUDA backend"),
                    HasSubstr("npu:1   Ascend310P3-fake (simulated), card 5, chip 1"), HasSubstr("63 %"),
                    HasSubstr("driver 25.0.rc1.1-fake, told by DCMI"), Not(HasSubstr("\x1b"))));
}

TEST_F(DevicesProgram, absent_npus_are_no_failure) {
  program_.environment["FAKE_DCMI_FAIL"] = "dcmi_init=-8005";
  const Outcome outcome = program_.run({"devices", "--json"});
  EXPECT_EQ(outcome.code, 0);
  const Json json = parse_json(outcome.output, "output");
  const Json& npu = json.at("devices").at(2);
  EXPECT_FALSE(npu.at("present").as_bool());
  EXPECT_THAT(std::string(npu.at("absent_because").as_string()), HasSubstr("-8005"));
  EXPECT_THAT(std::string(npu.at("way_out").as_string()), HasSubstr("another container"));
}

TEST_F(DevicesProgram, watches_until_it_is_interrupted) {
  for (const bool json : {true, false}) {
    std::vector<std::string> arguments{"devices", "--watch", "0.1"};
    if (json) arguments.push_back("--json");
    program_.start(arguments);
    const char* mark = json ? "\"cpu\"" : "device ";
    const auto seen = [&] {
      const std::string text = program_.output_so_far();
      size_t count = 0;
      for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; ++at) ++count;
      return count;
    };
    for (int tries = 0; tries < 300 && seen() < 3; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_GE(seen(), 3u);
    program_.send(SIGINT);
    const Outcome outcome = program_.wait();
    EXPECT_EQ(outcome.code, 130);
    EXPECT_EQ(outcome.error, "inkstone: interrupted\n");
    EXPECT_THAT(outcome.output, Not(HasSubstr("\x1b")));
    if (!json) continue;
    size_t begin = 0;
    for (size_t end = 0; (end = outcome.output.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_EQ(parse_json(outcome.output.substr(begin, end - begin), "line").at("devices").as_array().size(), 4u);
    EXPECT_EQ(begin, outcome.output.size());
  }
}

}  // namespace
}  // namespace inkstone
