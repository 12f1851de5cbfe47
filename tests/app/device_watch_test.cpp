// What a server's metrics tell of its cards comes from a thread of its own, which may be stuck.
#include "app/device_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace inkstone {
namespace {

DeviceStatus card(const std::string& name, double percent) {
  DeviceStatus status;
  status.name = name;
  status.chip = "Ascend910B4";
  status.present = true;
  status.ai_core_percent = percent;
  status.power_w = 88.5;
  status.health = "alarm";
  return status;
}

// The readings, once there are some.
std::vector<serve::DeviceReading> awaited(DeviceWatch& watch) {
  for (int i = 0; i < 1000; ++i) {
    if (auto readings = watch.readings(); !readings.empty()) return readings;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

TEST(DeviceWatch, tells_what_the_driver_says_of_the_cards_that_are_served) {
  DeviceWatch watch({"cpu", "npu:1"}, [] {
    return std::vector<DeviceStatus>{card("cpu", 1), card("npu:0", 10), card("npu:1", 63)};
  });
  const std::vector<serve::DeviceReading> readings = awaited(watch);
  ASSERT_EQ(readings.size(), 1u);
  EXPECT_EQ(readings[0].device, "npu:1");
  EXPECT_EQ(readings[0].chip, "Ascend910B4");
  EXPECT_DOUBLE_EQ(readings[0].ai_core_ratio.value(), 0.63);
  EXPECT_EQ(readings[0].power_watts, 88.5);
  EXPECT_EQ(readings[0].healthy, false);
  EXPECT_FALSE(readings[0].temperature_celsius);
}

TEST(DeviceWatch, looks_again_only_when_somebody_asks_and_the_last_look_is_old) {
  std::atomic<int> looks = 0;
  {
    DeviceWatch fresh(
        {"npu:0"}, [&] { return ++looks, std::vector<DeviceStatus>{card("npu:0", 10)}; }, 3600);
    awaited(fresh);
    for (int i = 0; i < 100; ++i) fresh.readings();
    EXPECT_EQ(looks, 1);
  }
  DeviceWatch old(
      {"npu:0"}, [&] { return ++looks, std::vector<DeviceStatus>{card("npu:0", 10)}; }, 0);
  for (int i = 0; i < 1000 && looks < 4; ++i) {
    old.readings();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GE(looks, 4);
}

TEST(DeviceWatch, asks_no_driver_where_no_card_is_served) {
  std::atomic<int> looks = 0;
  DeviceWatch watch({"cpu"}, [&] { return ++looks, std::vector<DeviceStatus>{card("npu:0", 10)}; });
  EXPECT_TRUE(watch.readings().empty());
  EXPECT_EQ(looks, 0);
}

TEST(DeviceWatch, does_not_wait_for_a_driver_that_hangs) {
  std::promise<void> answered, over;
  auto begun = std::make_shared<std::promise<void>>();
  {
    DeviceWatch watch({"npu:0"}, [&, begun] {
      begun->set_value();
      answered.get_future().wait();
      over.set_value();
      return std::vector<DeviceStatus>{};
    });
    begun->get_future().wait();
    EXPECT_TRUE(watch.readings().empty());
  }  // it leaves
  answered.set_value();
  over.get_future().wait();
}

}  // namespace
}  // namespace inkstone
