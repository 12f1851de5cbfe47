// From options to what the server and its workers are told.
#pragma once

#include "app/options.h"
#include "serve/gateway/gateway.h"
#include "serve/settings.h"

namespace inkstone {

// UsageError for a device that nobody knows or that stands there twice.
ServeSettings serve_settings(const Options& options);

// This program again, as a worker, with the flags that are a worker's.
WorkerCommand worker_command(const Options& options, const ServeSettings& settings);

}  // namespace inkstone
