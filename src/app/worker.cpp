// inkstone worker: inkstone serve starts one for each device.
#include "serve/worker/worker.h"

#include <cstdlib>
#include <limits>
#include <string>

#include "app/commands.h"
#include "app/loading.h"
#include "base/error.h"
#include "base/parallel.h"
#include "serve/worker/describe_model.h"
#include "serve/worker/worker_process.h"

namespace inkstone {
namespace {

// For tests of the whole server: the images of prompts that contain this text give NaN.
serve::WorkerSabotage sabotage() {
  const char* text = std::getenv("INKSTONE_TEST_NAN");
  if (!text || !*text) return {};
  const auto spoil = [text = std::string(text)](const serve::ImageRequest& request, Job& job) {
    if (request.prompt.find(text) != std::string::npos)
      for (float& value : job.latent.floats()) value = std::numeric_limits<float>::quiet_NaN();
  };
  return {spoil, {}};
}

}  // namespace

int run_worker(const Options& options) {
  INKSTONE_CHECK_USAGE(serve::is_worker_socket(serve::kWorkerSocket),
                       "do not run `inkstone worker` directly; `inkstone serve` starts it");
  serve::become_worker_process(serve::kWorkerSocket);
  set_threads(options.threads.value_or(usable_cores()));
  const Loaded loaded = load(options);
  serve::WorkerSettings settings;
  settings.max_jobs = options.jobs.value_or(settings.max_jobs);
  settings.max_side = options.max_side.value_or(settings.max_side);
  settings.max_pixels = options.max_pixels.value_or(settings.max_pixels);
  settings.sabotage = sabotage();
  return serve::serve_commands(serve::kWorkerSocket, *loaded.engine, serve::describe_model(loaded.model()), settings);
}

}  // namespace inkstone
