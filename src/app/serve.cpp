// inkstone serve: the gateway, the APIs and the HTTP server on one event thread, until a signal
// stops it.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

#include "app/commands.h"
#include "app/console.h"
#include "app/device_watch.h"
#include "app/loading.h"
#include "app/machine.h"
#include "app/serve_devices.h"
#include "app/serve_report.h"
#include "app/serve_settings.h"
#include "base/error.h"
#include "diffusion/model_folder.h"
#include "hub/find_model.h"
#include "serve/api/api.h"
#include "serve/gateway/gateway.h"
#include "serve/http/server.h"
#include "serve/support/log.h"
#include "upscale/upscaler.h"

namespace inkstone {
namespace {

constexpr std::chrono::milliseconds kPollInterval{50};
// Seconds for clients to read their answers, once all orders have ended.
constexpr double kReadSeconds = 5;

using serve::log_text;
using serve::LogLevel;

bool loopback(const std::string& host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }

class Service {
 public:
  Service(const Options& options, serve::ServeSettings settings, Console console)
      : settings_(std::move(settings)),
        console_(console),
        gateway_(events_, settings_, worker_program(options, settings_)),
        cards_(settings_.devices),
        context_{gateway_, settings_, [this] { return server_ ? server_->figures() : http::Figures{}; }},
        signals_(events_, SIGINT, SIGTERM),
        timer_(events_) {
    context_.device_readings = [this] { return cards_.readings(); };
    server_ = std::make_unique<http::Server>(events_, settings_.http, router());
    struct sigaction before {};
    if (sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) signals_.add(SIGHUP);
    gateway_.on_ready([this] { report(); });
    wait_for_signal();
    poll();
    const std::string address = address_text(settings_.http, server_->port());
    write_output_unless_full("listening on " + address + "\n");
    if (settings_.log_json) serve::log_line(LogLevel::kInfo, "listening", {{"address", address}});
    if (!loopback(settings_.http.host) && settings_.http.key_file.empty())
      say(LogLevel::kWarning, "no_keys",
          "warning: no API keys: anyone who can reach " + settings_.http.host +
              " can use this server (--api-key-file)");
    say(LogLevel::kInfo, "loading", "loading the model; the page and /health/ready already answer");
  }

  int run() {
    events_.run();
    return exit_code_;
  }

 private:
  http::Router router() {
    http::Router router;
    serve::add_health_routes(router, context_);
    serve::add_generate_routes(router, context_);
    serve::add_openai_routes(router, context_);
    serve::add_a1111_routes(router, context_);
    serve::add_oip_routes(router, context_);
    serve::add_page_routes(router, context_);
    return router;
  }

  void say(LogLevel level, const char* event, const std::string& text) const {
    if (!console_.quiet) log_text(level, event, text);
  }

  void report() {
    say(LogLevel::kInfo, "ready",
        serve_report(gateway_.figures(), gateway_.models(), settings_) + "ready      " +
            address_text(settings_.http, server_->port()));
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      signal == SIGHUP ? reload() : stop();
      wait_for_signal();
    });
  }

  void reload() {
    try {
      server_->reload_keys();
      serve::log_line(serve::LogLevel::kInfo, "keys_reloaded");
    } catch (const Error& error) {
      serve::log_line(serve::LogLevel::kError, "keys_not_reloaded", {{"reason", error.what()}});
    }
    gateway_.replace_workers();
  }

  void stop() {
    if (stopping_) return exit_loop();
    stopping_ = true;
    serve::log_line(serve::LogLevel::kInfo, "draining", {{"seconds", settings_.grace}});
    server_->drain();
    gateway_.drain([this] { exit_by_ = gateway_.now() + kReadSeconds; });
  }

  void exit_loop() {
    timer_.cancel();
    signals_.cancel();
    gateway_.stop();
    server_->close();
    events_.stop();
  }

  // Polls for what no event reports: that the last answer is read, and that no worker starts.
  void poll() {
    if (exit_by_ > 0 && (server_->idle() || gateway_.now() > exit_by_)) return exit_loop();
    if (gateway_.models().empty() && !stopping_ && no_worker_starts()) {
      log_text(LogLevel::kError, "failed",
               (settings_.log_json ? "" : "inkstone: ") + std::string("no worker started; see the errors above"));
      exit_code_ = 1;
      return exit_loop();
    }
    timer_.expires_after(kPollInterval);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) poll();
    });
  }

  bool no_worker_starts() const {
    for (const serve::WorkerFigures& worker : gateway_.figures().workers)
      if (!worker.cannot_start) return false;
    return true;
  }

  const serve::ServeSettings settings_;
  Console console_;
  boost::asio::io_context events_{1};
  serve::Gateway gateway_;
  DeviceWatch cards_;
  serve::ApiContext context_;
  std::unique_ptr<http::Server> server_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer timer_;
  bool stopping_ = false;
  double exit_by_ = 0;
  int exit_code_ = 0;
};

// Each connection needs a descriptor, and the usual limit of 1024 is low. Returns the new limit.
rlim_t allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return RLIM_INFINITY;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// Workers, images and files need some descriptors too.
serve::ServeSettings within_descriptors(serve::ServeSettings settings, rlim_t descriptors, const Console& console) {
  constexpr rlim_t kOthers = 64, kFewest = 8;
  const rlim_t places = std::max(kFewest, descriptors > kOthers ? descriptors - kOthers : 0);
  if (places >= static_cast<rlim_t>(settings.http.max_connections)) return settings;
  console.say("at most " + std::to_string(places) + " connections instead of " +
              std::to_string(settings.http.max_connections) + ": the system allows this process " +
              std::to_string(descriptors) + " open files (ulimit -Hn)");
  settings.http.max_connections = static_cast<int>(places);
  return settings;
}

// --model names one of --models, or a model as ever; fails at once if there is none.
void choose_model(Options& options) {
  if (options.models && !options.model)
    for (const std::string& flag : model_changes(options))
      fail<UsageError>(INKSTONE_HERE, {"--models and --", flag, ": it changes the model that --model names; name one",
                                       flag == "embedding" ? ", or take --embedding-dir, which is for all" : ""});
  for (const std::string& file : options.upscalers.value_or(std::vector<std::string>{})) Upscaler::open(file);
  for (const auto& [flag, folder] :
       {std::pair("--models", &options.models), std::pair("--lora-dir", &options.lora_dir)})
    INKSTONE_CHECK_USAGE(!options.compiled || !*folder, flag,
                         " and --compiled: its programs are of one model and its "
                         "adapters; start a server for each");
  check_refiner(options);
  check_controls_alone(options);
  if (options.refiner) options.refiner = find_model(*options.refiner).string();
  if (!options.models) {
    if (options.model) find_model(*options.model);
    return;
  }
  const std::vector<ListedModel> listed = models_in(*options.models).models;
  INKSTONE_CHECK_USAGE(
      !listed.empty(), "--models ", *options.models,
      ": there is no model in it: no .safetensors or .ckpt file, and no folder with a model_index.json");
  if (!options.model) return;
  std::error_code ignored;
  for (const ListedModel& model : listed)
    if (*options.model == model.name || *options.model == model.path.filename().string() ||
        std::filesystem::equivalent(*options.model, model.path, ignored)) {
      options.model = model.path.string();
      return;
    }
  find_model(*options.model);
}

serve::LogLevel log_level(const Options& options) {
  if (options.log_level == "debug") return LogLevel::kDebug;
  if (options.log_level == "info") return LogLevel::kInfo;
  if (options.log_level == "warn") return LogLevel::kWarning;
  if (options.log_level == "error") return LogLevel::kError;
  return options.verbose.value_or(false) ? LogLevel::kDebug : LogLevel::kInfo;
}

}  // namespace

int run_serve(Options options) {
  return_freed_memory();  // of a body with pictures, when it was read
  serve::set_log(options.log_format == "json", log_level(options));
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false),
                        [](std::string_view text) { log_text(LogLevel::kInfo, "note", text); }};
  if (options.threads) options.threads = thread_count(options, console);
  choose_model(options);
  serve::ServeSettings settings = serve_settings(options);
  check_devices(settings.devices, options.verbose.value_or(false));
  const rlim_t descriptors = allow_many_descriptors();
  return Service(options, within_descriptors(std::move(settings), descriptors, console), console).run();
}

}  // namespace inkstone
