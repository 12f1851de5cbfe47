// What the batcher knows about a job: its size bucket and how much work is left. It has no prompt
// and no pixels.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "serve/scheduling/beginning.h"
#include "serve/wire/job_id.h"

namespace inkstone::serve {

// Only jobs of one size bucket can share a step.
struct SizeBucket {
  std::string model;
  int width = 512, height = 512;
  auto operator<=>(const SizeBucket&) const = default;
};

enum class Priority { kLow, kNormal, kHigh };
// What the job waits for. A job that was decoded is no longer in the batcher.
enum class Phase { kEncode, kDenoise, kDecode };

inline constexpr int kImageRows = 2;  // of one image with guidance

// What an image has still to do when its steps here are made: more of them on another model, or at another size.
struct BatchLeg {
  SizeBucket bucket{};
  int rows = 2, calls = 20;  // as in BatchJob
  Beginning begins = Beginning::kImage;
};

struct BatchJob {
  JobId id = 0;
  SizeBucket bucket{};  // of the leg that it is in, as are rows and calls_left
  // Whose: clients share a device evenly.
  std::string client{};
  // Rows in a batch: 2 with classifier-free guidance, else 1. A composed prompt has more, and takes the time of so many,
  // but runs kImageRows of them at once.
  int rows = 2;
  int calls_left = 20;  // U-Net evaluations that are left
  Priority priority = Priority::kNormal;
  std::optional<double> deadline{};  // seconds on the clock of `arrival`
  double arrival = 0;
  // Other images of its order stand before it. The wait of an order is its first image's.
  bool follows = false;
  // It must not share a step, because it was in one when a worker died.
  bool alone = false;
  int leg = 0;                          // the number of the one that it is in
  Beginning begins = Beginning::kText;  // of that leg
  bool draws = true;                    // else its pixels are there when it has begun
  std::vector<BatchLeg> later{};        // those after it
};

}  // namespace inkstone::serve
