#include "app/device_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{1};

serve::DeviceReading reading_of(const DeviceStatus& status) {
  serve::DeviceReading reading{status.name, status.chip, {}, status.power_w, status.temperature_c, {}, {}, {}};
  if (status.ai_core_percent) reading.ai_core_ratio = *status.ai_core_percent / 100;
  if (!status.health.empty()) reading.healthy = status.health == "OK";
  if (status.memory_total) reading.memory_total = static_cast<double>(*status.memory_total);
  if (status.memory_free) reading.memory_free = static_cast<double>(*status.memory_free);
  return reading;
}

}  // namespace

struct DeviceWatch::State {
  std::vector<std::string> devices;
  Look look;
  Clock::duration fresh;
  std::mutex mutex;
  std::condition_variable changed;
  bool wanted = true, over = false, thread_over = false;
  Clock::time_point looked_at;
  std::vector<serve::DeviceReading> readings;

  std::vector<serve::DeviceReading> look_now() const {
    std::vector<serve::DeviceReading> found;
    try {
      for (const DeviceStatus& status : look())
        if (status.present && std::ranges::count(devices, status.name)) found.push_back(reading_of(status));
    } catch (const std::exception&) {  // then there is nothing to tell
    }
    return found;
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return wanted || over; });
      if (over) break;
      lock.unlock();
      std::vector<serve::DeviceReading> found = look_now();
      lock.lock();
      readings = std::move(found);
      looked_at = Clock::now();
      wanted = false;
    }
    thread_over = true;
    changed.notify_all();
  }
};

DeviceWatch::DeviceWatch(const std::vector<std::string>& devices, Look look, double fresh) {
  std::vector<std::string> cards = devices;
  std::erase_if(cards, [](const std::string& device) { return !device.starts_with("npu"); });
  if (cards.empty()) return;
  state_ = std::make_shared<State>();
  state_->devices = std::move(cards);
  std::ranges::replace(state_->devices, "npu", "npu:0");
  state_->look = std::move(look);
  state_->fresh = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(fresh));
  std::thread([state = state_] { state->run(); }).detach();
}

DeviceWatch::~DeviceWatch() {
  if (!state_) return;
  std::unique_lock lock(state_->mutex);
  state_->over = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kPatience, [&] { return state_->thread_over; });
}

std::vector<serve::DeviceReading> DeviceWatch::readings() {
  if (!state_) return {};
  const std::lock_guard lock(state_->mutex);
  if (!state_->wanted && Clock::now() - state_->looked_at > state_->fresh) {
    state_->wanted = true;
    state_->changed.notify_all();
  }
  return state_->readings;
}

}  // namespace inkstone
