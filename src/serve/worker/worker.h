// A worker process's life: owns one device and its models, does one command after the other, leaves when the gateway does.
#pragma once

#include <cstdint>
#include <functional>

#include "diffusion/engine.h"
#include "serve/wire/image_request.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

// What tests do to a worker, to see that it fails as it must.
struct WorkerSabotage {
  std::function<void(const ImageRequest& request, Job& job)> started;  // may spoil it
  std::function<void(size_t jobs)> stepping;                           // before a step: may throw
};

struct WorkerSettings {
  int max_jobs = 8;                  // in one step
  int max_side = 2048;               // pixels
  int64_t max_pixels = 1024 * 1024;  // of one image: what the memory is planned for
  double measuring_seconds = 8;      // spent on the step's curve, once one job and two are measured
  WorkerSabotage sabotage;
};

// Plans the memory, draws an image to see that all is well, measures the step's curve, says Hello, and serves until the socket
// closes. Returns the exit code: 0, or 1 where the device or the socket failed. What keeps it from beginning is said as
// Unusable and then thrown; UsageError where trying again cannot help.
int serve_commands(int socket, Engine& engine, ModelCard card, const WorkerSettings& settings);

}  // namespace inkstone::serve
