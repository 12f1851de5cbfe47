// What a command line or a config file can set, as one table of settings: flags, help and config keys are all made of it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/byte_size.h"
#include "diffusion/request_fields.h"

namespace inkstone {

// Unset: not given, so that the next nearest source of a default is asked. What is said of an image
// stands in `request`; its settings come from the table of a request's fields.
struct Options {
  ImageRequest request;
  bool seed_drawn = false;  // the request's seed is one that was drawn, because -1 was given
  std::optional<std::string> model, out, device, precision, vae_tiling, attention_slicing, config, compare, trace,
      compiled, sizes, batch, compile, soc, timestep, calibration, host_cpu, devices, host, host_names, origins,
      model_alias, key_file, batching, log_format, log_level, size, prompts, trusted_proxies, root_path, variant,
      lora_dir, embedding_dir, models, unet, vae, text_encoder, text_encoder_2, prediction, zero_snr, few_step, refiner,
      dtype, preview, preview_vae, upscaler;
  std::optional<int> timed_steps, count, threads, repeat, opset, attention_heads, vae_tile, jobs, max_side, max_pixels,
      workers, port, max_batch, max_queue, max_per_client, max_images, max_steps, max_connections, max_prompt_chunks;
  std::optional<float> refiner_start, scale, watch, max_wait, grace, keep, watchdog, watchdog_min;
  std::optional<ByteSize> memory_budget, keep_bytes, max_body, max_image_body;
  std::optional<std::vector<std::string>> loras, embeddings, controls, upscalers,
      images;  // each time that they are given
  std::optional<bool> gears, encoder, json, quiet, verbose, log_prompts, no_clobber;
};

// What the options put in place of a model's components, by their names: "vae".
struct ReplacedComponent {
  const char* component;
  const std::optional<std::string>* file;
};
std::array<ReplacedComponent, 4> replaced_components(const Options& options);

// Of the flags that change the model of --model, those that were given: "vae", "lora".
std::vector<std::string> model_changes(const Options& options);
void forget_model_change(Options& options, std::string_view flag);

using Member = std::variant<std::optional<std::string> Options::*, std::optional<std::vector<std::string>> Options::*,
                            std::optional<int> Options::*, std::optional<float> Options::*,
                            std::optional<ByteSize> Options::*, std::optional<bool> Options::*>;

enum class Command { kGenerate, kUpscale, kPull, kInfo, kConvert, kBench, kExport, kDevices, kServe, kWorker };
inline constexpr unsigned bit(Command command) { return 1u << static_cast<unsigned>(command); }

struct Setting {
  const char* name;     // "steps": the flag --steps, the config key steps
  const char* aliases;  // as in RequestField
  const char* group;    // its heading in the help
  // How the help calls its value. "" for a switch; in brackets, it may be left away. It begins with
  // FILE or DIR if it is a path.
  const char* value;
  std::string help;   // may have several lines
  unsigned commands;  // bits of those that take it
  std::variant<Member, const RequestField*> target;
  double least = 0;  // of a number, or of an amount of memory in bytes
  double most = 1e9;
  std::vector<std::string> (*choices)() = nullptr;  // of a text: these alone
  bool in_file = true;                              // may stand in a config file
  const char* without_value = "";                   // the value of a flag that stands alone
};

std::span<const Setting> settings();
// By its name or one of its aliases, in which _ stands for - too; nullptr: there is none.
const Setting* find_setting(Command command, std::string_view name);
std::vector<std::string> setting_names(Command command, bool in_file = false);
// The words of its aliases: {"guidance-scale", "cfg-scale"}. One letter is a short flag.
std::vector<std::string> aliases_of(const Setting& setting);
// For "did you mean": the names and the aliases that are words, not letters.
std::vector<std::string> known_names(Command command, bool in_file = false);

// Sets it from text. Throws UsageError that begins with `subject` ("--steps 0") and says what is allowed.
void assign(Options& options, const Setting& setting, std::string_view text, const std::string& subject);
bool is_set(const Options& options, const Setting& setting);

// Calls f with what the setting sets: an optional of one of the types in Options and ImageRequest.
template <typename AnyOptions, typename F>
auto visit_target(AnyOptions& options, const Setting& setting, F&& f) {
  const auto of_request = [&](auto member) { return f(options.request.*member); };
  const auto of_options = [&](auto member) { return f(options.*member); };
  if (const auto* field = std::get_if<const RequestField*>(&setting.target))
    return std::visit(of_request, (*field)->member);
  return std::visit(of_options, std::get<Member>(setting.target));
}

}  // namespace inkstone
