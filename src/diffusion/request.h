// What was asked: everything a picture depends on, besides the model and the build.
#pragma once

#include <cstdint>
#include <string>

#include "diffusion/scheduler.h"

namespace inkstone {

struct Request {
  std::string prompt;
  std::string negative_prompt;
  uint64_t seed = 42;
  int steps = 20;
  float guidance = 7.5f;  // 1 or less: no unconditional half
  int width = 512, height = 512;
  SchedulerConfig scheduler;
};

}  // namespace inkstone
