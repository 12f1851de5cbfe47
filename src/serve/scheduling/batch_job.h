// What the batcher knows of a job: which bucket it runs in and how much is left. No prompt, no pixels.
#pragma once

#include <optional>
#include <string>

#include "serve/wire/job_id.h"

namespace inkstone::serve {

struct SizeBucket {  // only jobs of one bucket can step together
  std::string model;
  int width = 512, height = 512;
  auto operator<=>(const SizeBucket&) const = default;
};

enum class Priority { kLow, kNormal, kHigh };
enum class Phase { kEncode, kDenoise, kDecode };  // what it waits for; after its pixels it is gone

struct BatchJob {
  JobId id = 0;
  SizeBucket bucket{};
  int rows = 2;         // of a step: 2 with classifier-free guidance, else 1
  int calls_left = 20;  // of the U-Net
  Priority priority = Priority::kNormal;
  std::optional<double> deadline{};  // seconds on the clock of `arrival`
  double arrival = 0;
  bool alone = false;  // steps without company: it was there when a worker died
};

}  // namespace inkstone::serve
