// What the batcher knows of a job: its size bucket and how much is left. No prompt, no pixels.
#pragma once

#include <optional>
#include <string>

#include "serve/wire/job_id.h"

namespace inkstone::serve {

// Only jobs of one size bucket can share a step.
struct SizeBucket {
  std::string model;
  int width = 512, height = 512;
  auto operator<=>(const SizeBucket&) const = default;
};

enum class Priority { kLow, kNormal, kHigh };
// What the job waits for; once decoded it is gone.
enum class Phase { kEncode, kDenoise, kDecode };

struct BatchJob {
  JobId id = 0;
  SizeBucket bucket{};
  // In a batch: 2 with classifier-free guidance, else 1.
  int rows = 2;
  int calls_left = 20;  // of the U-Net
  Priority priority = Priority::kNormal;
  std::optional<double> deadline{};  // seconds on the clock of `arrival`
  double arrival = 0;
  // Must not share a step: it was in one when a worker died.
  bool alone = false;
};

}  // namespace inkstone::serve
