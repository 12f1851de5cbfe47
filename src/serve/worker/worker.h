// A worker process: it owns one device and the models on it, runs one command after the other, and
// ends when the gateway does.
#pragma once

#include <cstdint>
#include <functional>

#include "diffusion/engine.h"
#include "serve/wire/model_card.h"
#include "serve/wire/wire.h"
#include "serve/worker/engine_shelf.h"

namespace inkstone::serve {

// What tests do to a worker, to see that it fails as it must.
struct WorkerSabotage {
  std::function<void(const ImageRequest& request, Job& job)> started;  // may spoil it
  std::function<void(size_t jobs)> stepping;                           // before a step: may throw
};

struct WorkerSettings {
  int max_jobs = 8;     // in one step
  int max_side = 2048;  // pixels
  // Of one image: what the memory is planned for.
  int64_t max_pixels = 1024 * 1024;
  WorkerSabotage sabotage;
  // How many of max_jobs the memory is worth planning for, as far as this Hello says; unset: all.
  std::function<int(const Hello&)> jobs_that_pay{};
  int max_prompt_chunks = 3;  // of 75 tokens each
};

// Plans the memory, says Hello with an estimate of the times, and serves until the socket closes.
// `card` is of the shelf's first model. Returns the exit code: 0, or 1 where the device or the socket
// failed. What keeps it from beginning is said as Unusable and then thrown; UsageError where trying
// again cannot help.
int serve_commands(int socket, EngineShelf& shelf, ModelCard card, const WorkerSettings& settings);

}  // namespace inkstone::serve
