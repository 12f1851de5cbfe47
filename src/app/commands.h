// The sub-commands, one file each. They return the exit code and throw Error or UsageError.
#pragma once

#include "app/options.h"

namespace inkstone {

int run_generate(Options options);
int run_upscale(const Options& options);
int run_convert(const Options& options);
int run_pull(const Options& options);
int run_info(const Options& options);
int run_bench(const Options& options);
int run_export(const Options& options);
int run_devices(const Options& options);
int run_serve(Options options);
int run_worker(const Options& options);

}  // namespace inkstone
