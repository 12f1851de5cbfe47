// The program. Whatever goes wrong ends here, as one line "inkstone: ..." and an exit code: 1 failed, 2 wrong usage.
#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/config_file.h"
#include "app/console.h"
#include "app/environment.h"
#include "app/help.h"
#include "app/machine.h"
#include "app/report.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/utf8.h"

namespace {

using namespace inkstone;

constexpr int kFailed = 1, kMisused = 2;

int run(const std::vector<std::string>& arguments, Options& options) {
  CommandLine line = parse_command_line(arguments);
  if (line.text) {
    if (line.misused)
      write_error(*line.text);
    else
      write_output(*line.text);
    return line.misused ? kMisused : 0;
  }
  options = std::move(line.options);
  if (line.command == Command::kServe) apply_environment(line.command, options);
  if (options.config) apply_config_file(*options.config, options, line.command);
  install_signal_handlers(options.json.value_or(false));
  switch (line.command) {
    case Command::kGenerate: return run_generate(options);
    case Command::kPull: return run_pull(options);
    case Command::kInfo: return run_info(options);
    case Command::kBench: return run_bench(options);
    case Command::kExport: return run_export(options);
    case Command::kDevices: return run_devices(options);
    case Command::kServe: return run_serve(options);
    case Command::kWorker: return run_worker(options);
  }
  return kFailed;
}

int refuse(const Options& options, const std::string& what, const char* where, int code) {
  const bool verbose = options.verbose.value_or(false) && *where;
  write_error("inkstone: " + one_line(what) + (verbose ? std::string(" (") + where + ")" : "") + "\n");
  try {
    if (options.json.value_or(false)) print_json_error(what, code);
  } catch (const Error&) {  // standard output is gone, and standard error has the reason
  }
  return code;
}

}  // namespace

int main(int count, char** values) {
  open_missing_streams();
  restart_with_short_spins(values);
  const std::vector<std::string> arguments(values + std::min(count, 1), values + count);
  name_process(!arguments.empty() && arguments[0] == command_name(Command::kWorker) ? "inkstone-worker" : "inkstone");
  const auto asked = [&](const char* flag) {
    return std::find(arguments.begin(), arguments.end(), flag) != arguments.end();
  };
  Options options;  // for the errors of a command line that cannot be read
  options.json = asked("--json");
  options.verbose = asked("--verbose");
  try {
    return run(arguments, options);
  } catch (const UsageError& error) {
    return refuse(options, error.what(), error.where(), kMisused);
  } catch (const Error& error) {
    return refuse(options, error.what(), error.where(), kFailed);
  } catch (const std::bad_alloc&) {
    return refuse(options, "the machine has no memory left: try a smaller size, or --memory-budget", "", kFailed);
  } catch (const std::exception& error) {
    return refuse(options, error.what(), "", kFailed);
  }
}
