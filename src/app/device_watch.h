// The state of a server's cards, asked on a thread of its own: a driver may take long to answer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/devices.h"
#include "serve/api/api.h"

namespace inkstone {

class DeviceWatch {
 public:
  using Look = std::function<std::vector<DeviceStatus>()>;

  // Looks at once, if any of these devices is a card. `fresh`: for so many seconds readings are not
  // asked for again.
  explicit DeviceWatch(
      const std::vector<std::string>& devices, Look look = [] { return device_status(); }, double fresh = 5);
  // Does not wait for a driver that does not answer.
  ~DeviceWatch();

  // The newest that is known. If it is not fresh, the thread looks again.
  std::vector<serve::DeviceReading> readings();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace inkstone
