// What a card's driver says of it, for metrics. Unset: it does not say.
#pragma once

#include <optional>
#include <string>

namespace inkstone::serve {

struct DeviceReading {
  std::string device, chip;             // "npu:0", "Ascend910B4"
  std::optional<double> ai_core_ratio;  // of its matrix units' time, 0 to 1
  std::optional<double> power_watts, temperature_celsius;
  std::optional<bool> healthy;
  std::optional<double> memory_total, memory_free;  // bytes
};

}  // namespace inkstone::serve
