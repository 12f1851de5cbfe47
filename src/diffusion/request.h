// What was asked: everything an image depends on, besides the model and the build.
#pragma once

#include <cstdint>
#include <string>

#include "diffusion/scheduler.h"

namespace inkstone {

struct Interval {  // of an image's U-Net calls, as fractions of them: the calls whose middle lies in it
  float from = 0, to = 1;
  bool operator==(const Interval&) const = default;
};

struct Request {
  std::string prompt;
  std::string negative_prompt;
  uint64_t seed = 42;
  int steps = 20;
  float guidance = 7.5f;  // 1 or less: no unconditional half
  int width = 512, height = 512;
  SchedulerConfig scheduler;
  // Approximations, off by default (docs/performance.md says what they cost):
  int cache_interval = 1;  // of so many U-Net calls in a row the first is whole, the others shallow; 1: all are whole
  Interval guidance_interval;  // outside of it calls run without the unconditional half
};

}  // namespace inkstone
