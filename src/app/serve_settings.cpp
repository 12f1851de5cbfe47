#include "app/serve_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/serve_devices.h"
#include "base/cache_folder.h"
#include "base/error.h"

namespace inkstone {
namespace {

constexpr int kMaxQueue = 2000;  // images

std::vector<std::string> pieces(const std::string& list) {
  std::vector<std::string> result;
  for (size_t from = 0; from <= list.size();) {
    const size_t comma = std::min(list.find(',', from), list.size());
    std::string piece = list.substr(from, comma - from);
    std::erase(piece, ' ');
    if (!piece.empty()) result.push_back(std::move(piece));
    from = comma + 1;
  }
  return result;
}

std::vector<std::string> devices_of(const std::string& list) {
  std::vector<std::string> devices = pieces(list);
  INKSTONE_CHECK_USAGE(!devices.empty(), "--device ", list, ": names no device");
  for (size_t i = 1; i < devices.size(); ++i) {  // "npu:0,1"
    const size_t colon = std::min(devices[i - 1].find(':'), devices[i - 1].size());
    const bool number = devices[i].find_first_not_of("0123456789") == devices[i].npos;
    if (number && colon < devices[i - 1].size()) devices[i] = devices[i - 1].substr(0, colon + 1) + devices[i];
  }
  if (std::ranges::count(devices, kAllNpus)) devices = with_all_npus(devices, device_status());
  for (const std::string& device : devices) {
    Options one;
    assign(one, *find_setting(Command::kWorker, "device"), device, "--device " + device);
    INKSTONE_CHECK_USAGE(std::ranges::count(devices, device) == 1, "--device ", list, ": ", device,
                         " stands there twice; --workers N starts several for each");
  }
  return devices;
}

serve::Batching batching_of(const std::string& name) {
  return name == "off" ? serve::Batching::kOff : name == "static" ? serve::Batching::kStatic : serve::Batching::kStep;
}

void set_http(const Options& options, http::Settings& http) {
  http.host = options.host.value_or(http.host);
  http.port = static_cast<uint16_t>(options.port.value_or(http.port));
  http.trusted_proxies = pieces(options.trusted_proxies.value_or(""));
  http.root_path = options.root_path.value_or("");
  http.host_names = pieces(options.host_names.value_or(""));
  http.origins = pieces(options.origins.value_or(""));
  http.key_file = options.key_file.value_or("");
  if (options.max_body) http.max_body = options.max_body->bytes;
  if (options.max_image_body) http.max_image_body = options.max_image_body->bytes;
  http.max_connections = options.max_connections.value_or(http.max_connections);
}

}  // namespace

serve::ServeSettings serve_settings(const Options& options) {
  serve::ServeSettings settings;
  set_http(options, settings.http);
  if (options.devices) settings.devices = devices_of(*options.devices);
  settings.workers = options.workers.value_or(settings.workers);
  settings.max_batch = options.max_batch.value_or(settings.max_batch);
  settings.max_queue = options.max_queue.value_or(settings.max_queue);
  INKSTONE_CHECK_USAGE(settings.max_queue <= kMaxQueue, "--max-queue ", settings.max_queue, ": at most ", kMaxQueue,
                       ", because each order is weighed against all that wait, on the thread that answers everybody");
  settings.max_per_client = options.max_per_client.value_or(std::min(settings.max_per_client, settings.max_queue));
  settings.max_images =
      options.max_images.value_or(std::min({settings.max_images, settings.max_queue, settings.max_per_client}));
  settings.folders = {options.models.value_or(""), options.lora_dir.value_or(""), options.refiner.value_or("")};
  settings.refiner_start = options.refiner_start.value_or(settings.refiner_start);
  settings.model_aliases = pieces(options.model_alias.value_or(""));
  settings.max_steps = options.max_steps.value_or(settings.max_steps);
  settings.max_side = options.max_side.value_or(settings.max_side);
  settings.max_pixels = options.max_pixels.value_or(static_cast<int>(settings.max_pixels));
  settings.max_prompt_chunks = options.max_prompt_chunks.value_or(settings.max_prompt_chunks);
  settings.max_wait = options.max_wait.value_or(static_cast<float>(settings.max_wait));
  settings.grace = options.grace.value_or(static_cast<float>(settings.grace));
  settings.kept_seconds = options.keep.value_or(static_cast<float>(settings.kept_seconds));
  if (options.keep_bytes) settings.max_kept_bytes = static_cast<int64_t>(options.keep_bytes->bytes);
  settings.watchdog_factor = options.watchdog.value_or(static_cast<float>(settings.watchdog_factor));
  settings.watchdog_min = options.watchdog_min.value_or(static_cast<float>(settings.watchdog_min));
  settings.batching = batching_of(options.batching.value_or("step"));
  settings.curve_folder = cache_folder("times");
  settings.log_json = options.log_format == "json";
  settings.log_prompts = options.log_prompts.value_or(false);
  return settings;
}

std::string flag_of_component(std::string component) {
  std::ranges::replace(component, '_', '-');
  return component;
}

serve::WorkerProgram worker_program(const Options& options, const serve::ServeSettings& settings) {
  std::vector<std::string> program{"/proc/self/exe", "worker"};
  const auto add = [&](const std::string& flag, const std::string& value) {
    program.push_back("--" + flag);
    program.push_back(value);
  };
  const std::pair<const char*, const std::optional<std::string>&> texts[] = {
      {"model", options.model},
      {"models", options.models},
      {"refiner", options.refiner},
      {"precision", options.precision},
      {"preview-vae", options.preview_vae},
      {"prediction", options.prediction},
      {"zero-snr", options.zero_snr},
      {"few-step", options.few_step},
      {"compiled", options.compiled},
      {"log-format", options.log_format},
      {"vae-tiling", options.vae_tiling},
      {"attention-slicing", options.attention_slicing},
      {"embedding-dir", options.embedding_dir}};
  for (const auto& [flag, value] : texts)
    if (value) add(flag, *value);
  for (const auto& [component, file] : replaced_components(options))
    if (*file) add(flag_of_component(component), **file);
  for (const std::string& lora : options.loras.value_or(std::vector<std::string>{})) add("lora", lora);
  for (const std::string& file : options.controls.value_or(std::vector<std::string>{})) add("control", file);
  for (const std::string& file : options.upscalers.value_or(std::vector<std::string>{})) add("upscaler", file);
  for (const std::string& file : options.embeddings.value_or(std::vector<std::string>{})) add("embedding", file);
  if (options.memory_budget) add("memory-budget", std::to_string(options.memory_budget->bytes));
  if (options.threads) add("threads", std::to_string(*options.threads));
  if (options.verbose.value_or(false)) program.push_back("--verbose");
  add("jobs", std::to_string(settings.max_batch));
  add("max-side", std::to_string(settings.max_side));
  add("max-pixels", std::to_string(settings.max_pixels));
  add("max-prompt-chunks", std::to_string(settings.max_prompt_chunks));
  return [program](const std::string& device) {
    std::vector<std::string> whole = program;
    whole.insert(whole.end(), {"--device", device});
    return whole;
  };
}

}  // namespace inkstone
