// A worker process's life: owns one device and its models, does one order after the other, leaves when the gateway does.
#pragma once

#include <cstdint>
#include <functional>

#include "diffusion/engine.h"
#include "serve/model_card.h"
#include "serve/picture_request.h"

namespace inkstone {

// What tests do to a worker, to see that it fails as it must.
struct WorkerSabotage {
  std::function<void(const PictureRequest& request, Job& job)> started;  // may spoil it
  std::function<void(size_t jobs)> stepping;                             // before a step: may throw
};

struct WorkerSettings {
  int most_jobs = 8;                  // in one step
  int most_side = 2048;               // pixels
  int64_t most_pixels = 1024 * 1024;  // of one picture: what the memory is planned for
  double measuring_seconds = 8;       // spent on the step's curve, once one job and two are measured
  WorkerSabotage sabotage;
};

// Plans the memory, draws a picture to see that all is well, measures the step's curve, says Hello, and serves until the socket
// closes. Returns the exit code: 0, or 1 where the device or the socket failed. What keeps it from beginning is said as
// Unusable and then thrown; UsageError where trying again cannot help.
int serve_orders(int socket, Engine& engine, ModelCard card, const WorkerSettings& settings);

}  // namespace inkstone
