// inkstone worker: inkstone serve starts one for each device.
#include "serve/worker/worker.h"

#include "app/commands.h"
#include "app/loading.h"
#include "base/cache_folder.h"
#include "base/error.h"
#include "base/parallel.h"
#include "serve/gateway/curve_store.h"
#include "serve/support/log.h"
#include "serve/worker/describe_model.h"
#include "serve/worker/worker_process.h"

namespace inkstone {
int run_worker(const Options& options) {
  INKSTONE_CHECK_USAGE(serve::is_worker_socket(serve::kWorkerSocket),
                       "do not run `inkstone worker` directly; `inkstone serve` starts it");
  serve::become_worker_process(serve::kWorkerSocket);
  serve::set_log(options.log_format == "json", serve::LogLevel::kInfo);
  set_threads(thread_count(options, {.quiet = true}));
  const Loaded loaded = load(options);
  serve::WorkerSettings settings;
  settings.max_jobs = options.jobs.value_or(settings.max_jobs);
  settings.max_side = options.max_side.value_or(settings.max_side);
  settings.max_pixels = options.max_pixels.value_or(settings.max_pixels);
  settings.max_prompt_chunks = options.max_prompt_chunks.value_or(settings.max_prompt_chunks);
  settings.jobs_that_pay = [&](const serve::Hello& hello) {
    return serve::CurveStore(cache_folder("times")).jobs_that_pay(hello, settings.max_jobs);
  };
  return serve::serve_commands(serve::kWorkerSocket, *loaded.engine, serve::describe_model(loaded.model()), settings);
}

}  // namespace inkstone
