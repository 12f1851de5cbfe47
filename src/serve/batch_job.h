// What the batcher knows of a job: which lane it runs in and how much is left. No prompt, no pixels.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace inkstone {

using JobId = uint64_t;

struct Lane {  // only jobs of one lane can step together
  std::string model;
  int width = 512, height = 512;
  auto operator<=>(const Lane&) const = default;
};

enum class Priority { kLow, kNormal, kHigh };
enum class Phase { kText, kSteps, kPixels };  // what it waits for; after its pixels it is gone

struct BatchJob {
  JobId id = 0;
  Lane lane{};
  int rows = 2;         // of a step: 2 with classifier-free guidance, else 1
  int calls_left = 20;  // of the U-Net
  Priority priority = Priority::kNormal;
  std::optional<double> deadline{};  // seconds on the clock of `arrival`
  double arrival = 0;
  bool alone = false;  // steps without company: it was there when a worker died
};

}  // namespace inkstone
