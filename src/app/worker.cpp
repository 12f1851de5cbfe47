// inkstone worker: what inkstone serve starts for each device.
#include "serve/worker/worker.h"

#include "app/commands.h"
#include "app/loading.h"
#include "base/error.h"
#include "base/parallel.h"
#include "serve/worker/describe_model.h"
#include "serve/worker/worker_process.h"

namespace inkstone {

int run_worker(const Options& options) {
  INKSTONE_CHECK_USAGE(is_worker_socket(kWorkerSocket),
                       "worker: is a part of the server, and there is none at descriptor ", kWorkerSocket,
                       ": run inkstone serve, which starts its workers itself");
  become_worker_process(kWorkerSocket);
  set_threads(options.threads.value_or(usable_cores()));
  const Loaded loaded = load(options);
  WorkerSettings settings;
  settings.most_jobs = options.jobs.value_or(settings.most_jobs);
  settings.most_side = options.most_side.value_or(settings.most_side);
  settings.most_pixels = options.most_pixels.value_or(settings.most_pixels);
  return serve_orders(kWorkerSocket, *loaded.engine, describe_model(loaded.model()), settings);
}

}  // namespace inkstone
