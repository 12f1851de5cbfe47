#include "serve/api/a1111_request.h"

#include <algorithm>

#include "base/random.h"
#include "base/spelling.h"
#include "serve/api/a1111_options.h"
#include "serve/api/a1111_samplers.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"

namespace inkstone {
namespace {

constexpr FieldInfo kFields[] = {
    {"prompt", "string", "What to draw; weights and alternations are plain text here.", "\"\""},
    {"negative_prompt", "string", "What not to draw.", "\"\""},
    {"styles", "array", "Empty.", "[]"},
    {"seed", "integer", "-1: drawn. Picture i has seed + i.", "-1"},
    {"subseed", "integer", "Without effect.", "-1"},
    {"subseed_strength", "number", "0.", "0"},
    {"seed_resize_from_h", "integer", "-1.", "-1"},
    {"seed_resize_from_w", "integer", "-1.", "-1"},
    {"sampler_name", "string", "A name or alias of GET /sdapi/v1/samplers, with \" Karras\" behind it or not.", "null"},
    {"scheduler", "string", "automatic, uniform or karras.", "null"},
    {"sampler_index", "string", "The sampler where sampler_name is null.", "\"Euler\""},
    {"batch_size", "integer", "Pictures: batch_size * n_iter.", "1"},
    {"n_iter", "integer", "Pictures: batch_size * n_iter.", "1"},
    {"steps", "integer", "Denoising steps.", "50"},
    {"cfg_scale", "number", "How closely to follow the prompt.", "7.0"},
    {"width", "integer", "Pixels; the model's own if not said.", "null"},
    {"height", "integer", "Pixels; the model's own if not said.", "null"},
    {"restore_faces", "boolean", "false.", "null"},
    {"tiling", "boolean", "false.", "null"},
    {"do_not_save_samples", "boolean", "Nothing is saved here.", "false"},
    {"do_not_save_grid", "boolean", "Nothing is saved here.", "false"},
    {"eta", "number", "Of DDIM, 0 to 1.", "null"},
    {"denoising_strength", "number", "Without effect.", "0"},
    {"s_min_uncond", "number", "0.", "null"},
    {"s_churn", "number", "0.", "null"},
    {"s_tmax", "number", "Without effect.", "null"},
    {"s_tmin", "number", "Without effect.", "null"},
    {"s_noise", "number", "1.", "null"},
    {"override_settings", "object", "As POST /sdapi/v1/options, for this request.", "null"},
    {"override_settings_restore_afterwards", "boolean", "Always so.", "true"},
    {"refiner_checkpoint", "string", "Empty.", "null"},
    {"refiner_switch_at", "number", "Without effect.", "null"},
    {"disable_extra_networks", "boolean", "There are none.", "false"},
    {"comments", "object", "Without effect.", "null"},
    {"enable_hr", "boolean", "false.", "false"},
    {"firstphase_width", "integer", "Without effect.", "0"},
    {"firstphase_height", "integer", "Without effect.", "0"},
    {"hr_scale", "number", "Without effect.", "2.0"},
    {"hr_upscaler", "string", "Without effect.", "null"},
    {"hr_second_pass_steps", "integer", "Without effect.", "0"},
    {"hr_resize_x", "integer", "Without effect.", "0"},
    {"hr_resize_y", "integer", "Without effect.", "0"},
    {"hr_checkpoint_name", "string", "Without effect.", "null"},
    {"hr_sampler_name", "string", "Without effect.", "null"},
    {"hr_scheduler", "string", "Without effect.", "null"},
    {"hr_prompt", "string", "Without effect.", "\"\""},
    {"hr_negative_prompt", "string", "Without effect.", "\"\""},
    {"script_name", "string", "Empty.", "null"},
    {"script_args", "array", "Without effect.", "[]"},
    {"send_images", "boolean", "false: the answer has no pictures.", "true"},
    {"save_images", "boolean", "Nothing is saved here.", "false"},
    {"alwayson_scripts", "object", "Empty.", "{}"},
    {"force_task_id", "string", "A name for the job.", "null"},
    {"infotext", "string", "Empty.", "null"},
};

bool asks_nothing(const Json& value) {
  if (value.is_string()) return value.as_string().empty() || value == "None";
  if (value.is_number()) return value.to_number<double>() <= 0;
  if (value.is_array()) return value.as_array().empty();
  if (value.is_object()) return value.as_object().empty();
  return value.is_null() || value == false;
}

void refuse_what_is_not_here(const Fields& fields) {
  static constexpr std::string_view kNames[] = {"styles",
                                                "subseed_strength",
                                                "seed_resize_from_h",
                                                "seed_resize_from_w",
                                                "restore_faces",
                                                "tiling",
                                                "s_min_uncond",
                                                "s_churn",
                                                "refiner_checkpoint",
                                                "enable_hr",
                                                "script_name",
                                                "alwayson_scripts",
                                                "infotext",
                                                "init_images",
                                                "mask"};
  std::vector<std::string> asked;
  for (const std::string_view name : kNames)
    if (const Json* value = fields.find(name); value && !asks_nothing(*value)) asked.emplace_back(name);
  if (const auto noise = fields.number("s_noise", 0, 1e6); noise && *noise != 1) asked.emplace_back("s_noise");
  if (asked.empty()) return;
  refuse(422, "not_supported", "not supported here, leave them out: " + listed(asked), asked.front());
}

void read_sampler(const Fields& fields, const JsonObject& options, A1111Request& result, PictureRequest& picture) {
  const std::string_view field = fields.has("sampler_name") ? "sampler_name" : "sampler_index";
  const std::string name = fields.text(field, kMostWordBytes).value_or("Euler");
  const auto sampler = a1111_sampler(name);
  if (!sampler) refuse(404, "sampler_not_found", "Sampler not found: \"" + shown(name) + "\"", std::string(field));
  const std::string type = fields.text("scheduler", kMostWordBytes).value_or("");
  const auto karras = karras_of(*sampler, type);
  if (!karras)
    refuse(422, "not_supported",
           "scheduler \"" + shown(type.empty() ? sampler->schedule_type : type) + "\" is not here for " +
               sampler->name + "; there are automatic, uniform, and karras for Euler, DPM++ and UniPC",
           "scheduler");
  picture.scheduler = sampler->scheduler;
  picture.karras = *karras;
  result.sampler = sampler->name;
  result.schedule_type = *karras ? "Karras" : "Automatic";
  if (sampler->scheduler != "ddim") return;
  picture.eta = static_cast<float>(fields.number("eta", 0, 1).value_or(options.at("eta_ddim").to_number<double>()));
}

PictureRequest read_picture(const Fields& fields, const JsonObject& options, const ModelCard& card,
                            const Limits& limits, A1111Request& result) {
  PictureRequest picture;
  picture.width = card.width;
  picture.height = card.height;
  picture.prompt = fields.text("prompt", kMostPromptBytes).value_or("");
  picture.negative_prompt = fields.text("negative_prompt", kMostPromptBytes).value_or("");
  picture.seed = fields.has("seed") ? *fields.seed("seed") : random_seed();
  picture.steps =
      static_cast<int>(fields.integer("steps", 1, limits.most_steps).value_or(std::min(50, limits.most_steps)));
  picture.guidance = static_cast<float>(fields.number("cfg_scale", 0, kMostGuidance).value_or(7));
  read_size(fields, {"width", "height"}, limits, picture);
  read_sampler(fields, options, result, picture);
  return picture;
}

int read_count(const Fields& fields, const Limits& limits, A1111Request& result) {
  result.batch_size = static_cast<int>(fields.integer("batch_size", 1, limits.most_pictures).value_or(1));
  result.n_iter = static_cast<int>(fields.integer("n_iter", 1, limits.most_pictures).value_or(1));
  const int64_t count = int64_t{result.batch_size} * result.n_iter;
  if (count > limits.most_pictures)
    refuse(400, "invalid_value",
           "batch_size " + std::to_string(result.batch_size) + " * n_iter " + std::to_string(result.n_iter) + " are " +
               std::to_string(count) + " pictures; at most " + std::to_string(limits.most_pictures) + " are taken",
           "batch_size");
  return static_cast<int>(count);
}

void use_options(const JsonObject& options, Order& order) {
  const Json& format = options.at("samples_format");
  if (format == "jpg" || format == "jpeg") order.format = PictureFormat::kJpeg;
  if (format == "webp") order.format = PictureFormat::kWebp;
  order.quality = static_cast<int>(options.at("jpeg_quality").to_number<double>());
}

JsonObject echo_of(const Fields& fields) {
  JsonObject echo;
  for (const FieldInfo& field : kFields) {
    const Json* said = fields.find(field.name);
    echo[field.name] = said ? *said : parse_json(field.example, "default");
  }
  return echo;
}

}  // namespace

std::span<const FieldInfo> a1111_fields() { return kFields; }

bool has_prompt_syntax(std::string_view prompt) {
  if (prompt.find("((") != prompt.npos || prompt.find("[[") != prompt.npos || prompt.find("<lora:") != prompt.npos)
    return true;
  size_t open = prompt.npos;  // the bracket opened last
  bool marked = false;        // a colon or bar since then
  for (size_t at = 0; at < prompt.size(); ++at) {
    const char c = prompt[at];
    if (c == '(' || c == '[') {
      open = at;
      marked = false;
    } else if (c == ':' || c == '|') {
      marked = true;
    } else if (c == ')' || c == ']') {
      if (open != prompt.npos && marked) return true;
      open = prompt.npos;
    }
  }
  return false;
}

A1111Request a1111_request(const HttpRequest& request, const Fields& fields, const JsonObject& options,
                           const ModelCard& card, const Limits& limits) {
  A1111Request result;
  result.order = order_from(request, "a1111");
  refuse_what_is_not_here(fields);
  JsonObject used = options;
  if (const Json* changes = fields.find("override_settings")) {
    if (!changes->is_object()) fields.wrong("override_settings", "an object");
    used = with_changes(std::move(used), changes->as_object(), card);
  }
  const int count = read_count(fields, limits, result);
  result.order.pictures = series(read_picture(fields, used, card, limits, result), count, "seed");
  use_options(used, result.order);
  result.order.tag = fields.text("force_task_id", kMostWordBytes).value_or("");
  result.order.previews = true;
  result.send_images = fields.flag("send_images").value_or(true);
  const PictureRequest& picture = result.order.pictures.front();
  if (has_prompt_syntax(picture.prompt) || has_prompt_syntax(picture.negative_prompt))
    result.warnings.emplace_back("weights, alternations and tags in prompts are read as plain text here");
  result.echo = echo_of(fields);
  return result;
}

}  // namespace inkstone
