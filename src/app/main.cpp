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
#include "base/environment.h"
#include "base/error.h"
#include "base/utf8.h"
#include "serve/support/log.h"

namespace {

using namespace inkstone;

constexpr int kFailed = 1, kMisused = 2;

bool is_server(const std::vector<std::string>& arguments) {
  return !arguments.empty() &&
         (arguments[0] == command_name(Command::kServe) || arguments[0] == command_name(Command::kWorker));
}

// Of a server standard error is its log's, whose format counts for what ends its start too.
bool asks_for_json_log(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i].starts_with("--log-format"))
      return arguments[i] == "--log-format=json" || (i + 1 < arguments.size() && arguments[i + 1] == "json");
  return flag_environment("INKSTONE_LOG_FORMAT") == "json";
}

void write_server_error(const std::string& text, bool json) {
  serve::set_log(json, serve::LogLevel::kError);
  serve::log_text(serve::LogLevel::kError, "failed", text);
}

int run(const std::vector<std::string>& arguments, Options& options) {
  CommandLine line = parse_command_line(arguments);
  if (line.text) {
    if (line.misused && is_server(arguments))
      write_server_error(*line.text, asks_for_json_log(arguments));
    else if (line.misused)
      write_error(*line.text);
    else
      write_output(*line.text);
    return line.misused ? kMisused : 0;
  }
  options = std::move(line.options);
  if (line.command == Command::kServe) apply_environment(line.command, options);
  if (options.config) apply_config_file(*options.config, options, line.command);
  install_signal_handlers(options.json.value_or(false), options.log_format == "json");
  switch (line.command) {
    case Command::kGenerate: return run_generate(options);
    case Command::kUpscale: return run_upscale(options);
    case Command::kPull: return run_pull(options);
    case Command::kInfo: return run_info(options);
    case Command::kConvert: return run_convert(options);
    case Command::kBench: return run_bench(options);
    case Command::kExport: return run_export(options);
    case Command::kDevices: return run_devices(options);
    case Command::kServe: return run_serve(options);
    case Command::kWorker: return run_worker(options);
  }
  return kFailed;
}

int refuse(const std::vector<std::string>& arguments, const Options& options, const Error& error, int code) {
  const std::string what = error.what();
  const bool verbose = options.verbose.value_or(false) && *error.where();
  const std::string text = one_line(what) + (verbose ? std::string(" (") + error.where() + ")" : "");
  if (is_server(arguments)) {
    const bool json = options.log_format == "json" || asks_for_json_log(arguments);
    write_server_error(json ? text : "inkstone: " + text, json);
    return code;
  }
  write_error("inkstone: " + text + "\n");
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
    return refuse(arguments, options, error, kMisused);
  } catch (const Error& error) {
    return refuse(arguments, options, error, kFailed);
  } catch (const std::bad_alloc&) {
    const Error error("the machine has no memory left: try a smaller size, or --memory-budget");
    return refuse(arguments, options, error, kFailed);
  } catch (const std::exception& error) {
    return refuse(arguments, options, Error(error.what()), kFailed);
  }
}
