#include "serve/api/a1111_options.h"

#include <cmath>

#include "base/utf8.h"
#include "serve/api/fault.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

JsonObject defaults(const ModelCard& card) {
  return {{"sd_model_checkpoint", model_title(card)},
          {"sd_checkpoint_hash", card.hash},
          {"sd_vae", "Automatic"},
          {"CLIP_stop_at_last_layers", 1},
          {"samples_format", "png"},
          {"jpeg_quality", 80},
          {"samples_save", false},
          {"grid_save", false},
          {"return_grid", false},
          {"eta_ddim", 0.0},
          {"eta_ancestral", 1.0},
          {"eta_noise_seed_delta", 0},
          {"send_seed", true},
          {"send_size", true},
          {"enable_pnginfo", true},
          {"live_previews_enable", true},
          {"show_progress_every_n_steps", 1},
          {"sd_lora", "None"},
          {"emphasis", "None"},
          {"filter_nsfw", false}};
}

bool same_type(const Json& a, const Json& b) { return a.is_number() ? b.is_number() : a.kind() == b.kind(); }

// Clients send 1.0 for 1, which is the same number: an option that is a whole number stays one.
Json as_the_option_is(const Json& option, const Json& value) {
  const double* number = value.if_double();
  const bool whole = number && *number == std::floor(*number) && std::abs(*number) < 1e9;
  return option.is_int64() && whole ? Json(static_cast<int64_t>(*number)) : value;
}

void check_value(std::string_view name, const Json& value) {
  const std::string field(name);
  if (value.is_string() && value.as_string().size() > kMaxWordBytes)
    refuse(400, "invalid_value", field + ": at most " + std::to_string(kMaxWordBytes) + " bytes", field);
  if (name == "CLIP_stop_at_last_layers") {
    const double layers = value.to_number<double>();
    if (!(layers >= 1 && layers <= kMaxClipSkip && layers == std::floor(layers)))
      refuse(400, "invalid_value",
             field + ": a whole number from 1, the last layer, to " + std::to_string(kMaxClipSkip), field);
  }
  if (name == "eta_noise_seed_delta" && value.to_number<double>() != 0)
    refuse(422, "not_supported", field + ": only 0 is supported", field);
  if (name == "samples_format" && value != "png" && value != "jpg" && value != "jpeg" && value != "webp")
    refuse(422, "not_supported", field + ": png, jpg or webp", field);
  if (name == "jpeg_quality" && !(value.to_number<double>() >= 1 && value.to_number<double>() <= 100))
    refuse(400, "invalid_value", field + ": 1 to 100", field);
  if (name == "eta_ddim" && !(value.to_number<double>() >= 0 && value.to_number<double>() <= 1))
    refuse(400, "invalid_value", field + ": 0 to 1", field);
}

}  // namespace

JsonObject with_changes(JsonObject options, const JsonObject& changes, const ApiContext& context) {
  for (const auto& [name, value] : changes) {
    const auto known = options.find(name);
    if (known == options.end() || value.is_null()) continue;
    if (!same_type(known->value(), value))
      refuse(400, "invalid_value", std::string(name) + " has another type than the option", std::string(name));
    check_value(name, value);
    if (name == "sd_checkpoint_hash" || (name == "sd_model_checkpoint" && value == "")) continue;
    known->value() = as_the_option_is(known->value(), value);
    if (name != "sd_model_checkpoint") continue;
    const ModelCard& card = asked_model(context, value.as_string(), "sd_model_checkpoint");
    known->value() = model_title(card);
    options["sd_checkpoint_hash"] = card.hash;
  }
  return options;
}

JsonObject A1111Options::of(const std::string& client, const ApiContext& context) {
  JsonObject options = defaults(ready_model(context.service));
  const JsonObject* changed = changed_.find(client);
  for (const auto& [name, value] : changed ? *changed : JsonObject{}) options[name] = value;
  return options;
}

void A1111Options::set(const std::string& client, const JsonObject& changes, const ApiContext& context) {
  const JsonObject options = with_changes(of(client, context), changes, context);
  const JsonObject* changed = changed_.find(client);
  JsonObject kept = changed ? *changed : JsonObject{};
  for (const auto& [name, value] : changes)
    if (options.contains(name) && !value.is_null() && name != "sd_checkpoint_hash") kept[name] = options.at(name);
  if (kept.contains("sd_model_checkpoint")) kept["sd_checkpoint_hash"] = options.at("sd_checkpoint_hash");
  changed_.put(client, std::move(kept));
}

void read_file_options(const JsonObject& options, Order& order) {
  const Json& format = options.at("samples_format");
  if (format == "jpg" || format == "jpeg") order.format = ImageFormat::kJpeg;
  if (format == "webp") order.format = ImageFormat::kWebp;
  order.quality = static_cast<int>(options.at("jpeg_quality").to_number<double>());
}

}  // namespace inkstone::serve
