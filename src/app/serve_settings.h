// From options to what the server and its workers are told.
#pragma once

#include "app/options.h"
#include "serve/gateway/gateway.h"
#include "serve/jobs/settings.h"

namespace inkstone {

// UsageError for a device that nobody knows or that stands there twice.
serve::ServeSettings serve_settings(const Options& options);

// Of a component that a flag replaces: "text_encoder_2" -> "text-encoder-2".
std::string flag_of_component(std::string component);

// This program again, as a worker, with the flags that are a worker's.
serve::WorkerProgram worker_program(const Options& options, const serve::ServeSettings& settings);

}  // namespace inkstone
