// A worker process's life: owns one device and its models, does one order after the other, leaves when the gateway does.
#pragma once

#include "diffusion/engine.h"
#include "serve/model_card.h"

namespace inkstone {

struct WorkerSettings {
  int most_jobs = 8;                  // in one step
  int most_side = 2048;               // pixels
  int64_t most_pixels = 1024 * 1024;  // of one picture: what the memory is planned for
};

// Measures the step's curve, says Hello, and serves until the socket closes. Returns the exit code.
int serve_orders(int socket, Engine& engine, ModelCard card, const WorkerSettings& settings);

}  // namespace inkstone
