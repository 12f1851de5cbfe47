#include "serve/api/a1111_request.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/prompt_syntax.h"
#include "diffusion/scheduler_names.h"
#include "serve/api/a1111_controls.h"
#include "serve/api/a1111_img2img.h"
#include "serve/api/a1111_options.h"
#include "serve/api/a1111_samplers.h"
#include "serve/api/a1111_upscalers.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"
#include "serve/api/refiner_request.h"
#include "serve/api/request_reader.h"

namespace inkstone::serve {
namespace {

constexpr FieldName kA1111Names[] = {{"prompt", "prompt"},
                                     {"negative_prompt", "negative_prompt"},
                                     {"seed", "seed"},
                                     {"steps", "num_inference_steps"},
                                     {"cfg_scale", "guidance_scale"},
                                     {"width", "width"},
                                     {"height", "height"},
                                     {"sampler_name", "scheduler", false},
                                     {"scheduler", "schedule", false},
                                     {"eta", "eta", false},
                                     {"clip_skip", "clip_skip"},
                                     {"hr_scale", "hires", false},
                                     {"denoising_strength", "hires_strength", false},
                                     {"hr_second_pass_steps", "hires_steps", false},
                                     {"hr_upscaler", "hires_upscaler", false},
                                     {"prompt_syntax", "prompt_syntax"}};

// All fields, as the web UI answers them back.
const FieldInfo kA1111Fields[] = {
    {"prompt", "string",
     "What to draw, with weights, [a:b:0.5], [a|b], BREAK and AND, and <lora:NAME:0.8> for one of GET /sdapi/v1/loras.",
     "\"\""},
    {"negative_prompt", "string", "What not to draw.", "\"\""},
    {"styles", "array", "Empty.", "[]"},
    {"seed", "integer", "-1: the server draws one. Image i has seed + i.", "-1"},
    {"subseed", "integer", "Without effect.", "-1"},
    {"subseed_strength", "number", "0.", "0"},
    {"seed_resize_from_h", "integer", "-1.", "-1"},
    {"seed_resize_from_w", "integer", "-1.", "-1"},
    {"sampler_name", "string",
     "A name or alias of GET /sdapi/v1/samplers, with \" Karras\" behind it or not; for a "
     "deterministic one that is not here the nearest is taken, with a warning in info.",
     "null"},
    {"scheduler", "string",
     "A name of GET /sdapi/v1/schedulers; automatic is that of the sampler. For one that is not there the nearest is "
     "taken, with a warning in info, where the sampler draws no noise.",
     "null"},
    {"sampler_index", "string", "The sampler where sampler_name is null.", "\"Euler\""},
    {"batch_size", "integer", "Images: batch_size * n_iter.", "1"},
    {"n_iter", "integer", "Images: batch_size * n_iter.", "1"},
    {"steps", "integer", "Denoising steps.", "50"},
    {"cfg_scale", "number", "How closely to follow the prompt.", "7.0"},
    {"width", "integer", "Pixels; the model's own if not said.", "null"},
    {"height", "integer", "Pixels; the model's own if not said.", "null"},
    {"restore_faces", "boolean", "false.", "null"},
    {"tiling", "boolean", "false.", "null"},
    {"do_not_save_samples", "boolean", "Nothing is saved here.", "false"},
    {"do_not_save_grid", "boolean", "Nothing is saved here.", "false"},
    {"eta", "number", "Noise that DDIM adds in each step, 0 to 1.", "null"},
    {"denoising_strength", "number", "With enable_hr: how much of the enlarged image is drawn anew.", "0"},
    {"s_min_uncond", "number", "0.", "null"},
    {"s_churn", "number", "0.", "null"},
    {"s_tmax", "number", "Without effect.", "null"},
    {"s_tmin", "number", "Without effect.", "null"},
    {"s_noise", "number", "1.", "null"},
    {"override_settings", "object", "As POST /sdapi/v1/options, for this request.", "null"},
    {"override_settings_restore_afterwards", "boolean", "Always so.", "true"},
    {"refiner_checkpoint", "string", "SDXL's refiner, as sd_model_checkpoint names models; None: none.", "null"},
    {"refiner_switch_at", "number", "The part of the noise schedule after which it goes on; 1: never.", "null"},
    {"disable_extra_networks", "boolean", "There are none.", "false"},
    {"comments", "object", "Without effect.", "null"},
    {"enable_hr", "boolean", "true: the image is drawn, enlarged and drawn again.", "false"},
    {"firstphase_width", "integer", "Without effect.", "0"},
    {"firstphase_height", "integer", "Without effect.", "0"},
    {"hr_scale", "number", "With enable_hr: so many times as large, 1 to 4.", "2.0"},
    {"hr_upscaler", "string",
     "With enable_hr: Latent, Latent (bicubic) ... of GET /sdapi/v1/latent-upscale-modes, or one of GET "
     "/sdapi/v1/upscalers; null: Latent.",
     "null"},
    {"hr_second_pass_steps", "integer", "With enable_hr: steps at the larger size; 0: as many.", "0"},
    {"hr_resize_x", "integer", "With enable_hr: the larger width in place of hr_scale, of the same shape.", "0"},
    {"hr_resize_y", "integer", "The same of the height.", "0"},
    {"hr_checkpoint_name", "string", "Empty.", "null"},
    {"hr_sampler_name", "string", "The same sampler.", "null"},
    {"hr_scheduler", "string", "The same.", "null"},
    {"hr_prompt", "string", "Empty, or the same.", "\"\""},
    {"hr_negative_prompt", "string", "Empty, or the same.", "\"\""},
    {"script_name", "string", "Empty.", "null"},
    {"script_args", "array", "Without effect.", "[]"},
    {"send_images", "boolean", "false: the answer has no images.", "true"},
    {"save_images", "boolean", "Nothing is saved here.", "false"},
    {"alwayson_scripts", "object", "ControlNet alone, with args as its extension has them.", "{}"},
    {"clip_skip", "integer", "As CLIP_stop_at_last_layers of override_settings, where that is 1.", "null"},
    {"prompt_syntax", "string", "a1111, comfy or plain: what brackets in prompts mean.", "\"a1111\""},
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

void refuse_what_is_not_here(const Fields& fields, A1111Task task) {
  static constexpr std::string_view kAbsent[] = {
      "styles",        "subseed_strength", "seed_resize_from_h", "seed_resize_from_w",
      "restore_faces", "tiling",           "s_min_uncond",       "s_churn",
      "script_name",   "infotext"};
  static constexpr std::string_view kOfPictures[] = {"init_images", "mask"};
  std::vector<std::string> asked;
  for (const std::string_view name : kAbsent)
    if (const Json* value = fields.find(name); value && !asks_nothing(*value)) asked.emplace_back(name);
  for (const std::string_view name : kOfPictures)
    if (const Json* value = fields.find(name); task == A1111Task::kText && value && !asks_nothing(*value))
      asked.push_back(std::string(name) + " (img2img takes it)");
  if (const auto noise = fields.number("s_noise", 0, 1e6); noise && *noise != 1) asked.emplace_back("s_noise");
  if (asked.empty()) return;
  refuse(422, "not_supported", "not supported here, leave them out: " + listed(asked), asked.front());
}

// An empty name is none, as there.
std::string sampler_said(const Fields& fields) {
  for (const std::string_view field : {"sampler_name", "sampler_index"})
    if (const auto name = fields.text(field, kMaxWordBytes); name && !name->empty()) return *name;
  return "Euler";
}

void read_sampler(const Fields& fields, const JsonObject& options, A1111Request& result, ImageRequest& image) {
  const Sampling sampling = a1111_sampling(sampler_said(fields), fields.text("scheduler", kMaxWordBytes).value_or(""));
  image.scheduler = name_of(sampling.kind);
  image.schedule = name_of(*sampling.schedule);
  result.sampler = sampler_name(sampling.kind).name;
  result.schedule_type = schedule_name(*sampling.schedule).label;
  result.warnings = sampling.warnings;
  if (!takes_eta(sampling.kind)) return;
  auto eta = fields.number("eta", 0, 1);
  if (!eta && sampling.kind == SchedulerKind::kDdim) eta = options.at("eta_ddim").to_number<double>();
  if (eta) image.eta = static_cast<float>(*eta);
}

ImageRequest read_a1111_image(const Fields& fields, const JsonObject& options, const Limits& limits, A1111Task task,
                              A1111Request& result) {
  ImageRequest image = read_request(fields, kA1111Names);
  if (!image.steps) image.steps = std::min(50, limits.image.max_steps);
  if (!image.guidance_scale) image.guidance_scale = 7;
  // Clients send both, of which the web UI reads the option.
  const double layers = options.at("CLIP_stop_at_last_layers").to_number<double>();
  if (layers != 1 || !image.clip_skip) image.clip_skip = static_cast<int>(layers);
  read_sampler(fields, options, result, image);
  if (task == A1111Task::kPicture) {
    read_a1111_picture(fields, image);
    result.denoising_strength = static_cast<float>(a1111_denoising_strength(fields));
  }
  read_a1111_scripts(fields, image);
  return image;
}

std::span<const FieldName> all_names() {
  static const std::vector<FieldName> all = [] {
    std::vector<FieldName> names(std::begin(kA1111Names), std::end(kA1111Names));
    const std::span<const FieldName> more = a1111_picture_names();
    names.insert(names.end(), more.begin(), more.end());
    return names;
  }();
  return all;
}

// What the second run of the web UI's may have of its own, and here has not.
void refuse_other_second_run(const Fields& fields) {
  const auto text = [&](std::string_view name) { return fields.text(name, kMaxPromptBytes).value_or(""); };
  const std::string sampler = sampler_said(fields);
  const std::string schedule = text("scheduler").empty() ? "Automatic" : text("scheduler");
  const std::tuple<const char*, std::string, const char*> all[] = {{"hr_prompt", text("prompt"), ""},
                                                                   {"hr_negative_prompt", text("negative_prompt"), ""},
                                                                   {"hr_sampler_name", sampler, "Use same sampler"},
                                                                   {"hr_scheduler", schedule, "Use same scheduler"},
                                                                   {"hr_checkpoint_name", "", "Use same checkpoint"}};
  for (const auto& [name, same, word] : all) {
    const std::string said = text(name);
    if (said.empty() || said == "None" || said == same || said == word) continue;
    refuse(422, "not_supported",
           std::string(name) + " is not supported here: the larger image has the same; leave it out", name);
  }
}

// The factor that a wanted size stands for.
float factor_of(const Fields& fields, const ModelCard& card, const ImageRequest& image) {
  const auto side = [&](std::string_view name) {
    return static_cast<double>(fields.integer(name, 0, kMaxImageSide).value_or(0));
  };
  const double wide = side("hr_resize_x"), tall = side("hr_resize_y");
  const double by_x = wide / image.width.value_or(card.traits.width),
               by_y = tall / image.height.value_or(card.traits.height);
  if (wide > 0 && tall > 0 && std::abs(by_x - by_y) > 1e-3)
    refuse(422, "not_supported",
           "hr_resize_x and hr_resize_y of another shape than the image are not supported here: leave one of them out",
           "hr_resize_y");
  return static_cast<float>(wide > 0 ? by_x : by_y);
}

void read_hires(const Fields& fields, const ModelCard& card, ImageRequest& image, A1111Request& result) {
  if (!fields.flag("enable_hr").value_or(false)) return;
  refuse_other_second_run(fields);
  const bool sized = fields.integer("hr_resize_x", 0, kMaxImageSide).value_or(0) > 0 ||
                     fields.integer("hr_resize_y", 0, kMaxImageSide).value_or(0) > 0;
  image.hires =
      sized ? factor_of(fields, card, image) : static_cast<float>(fields.number("hr_scale", 1, 4).value_or(2));
  if (const auto strength = fields.number("denoising_strength", 0, 1))
    result.denoising_strength = image.hires_strength = static_cast<float>(*strength);
  if (const auto steps = fields.integer("hr_second_pass_steps", 0, kMaxImageSteps))
    image.hires_steps = static_cast<int>(*steps);
  const auto upscaler = fields.text("hr_upscaler", kMaxWordBytes);
  if (upscaler && !upscaler->empty()) image.hires_upscaler = a1111_upscaler(*upscaler);
}

// There the tag changes the image; here it would be drawn as words.
void refuse_networks(const ImageRequest& image) {
  for (const auto& [name, text] :
       {std::pair("prompt", &image.prompt), std::pair("negative_prompt", &image.negative_prompt)})
    if (const std::string tag = extra_network_tag(text->value_or("")); !tag.empty())
      refuse(422, "not_supported", shown(tag) + ": extra networks are not loaded here; leave the tag out", name);
}

int read_count(const Fields& fields, const Limits& limits, A1111Request& result) {
  result.batch_size = static_cast<int>(fields.integer("batch_size", 1, limits.max_images).value_or(1));
  result.n_iter = static_cast<int>(fields.integer("n_iter", 1, limits.max_images).value_or(1));
  const int64_t count = int64_t{result.batch_size} * result.n_iter;
  if (count > limits.max_images)
    refuse(400, "invalid_value",
           "batch_size " + std::to_string(result.batch_size) + " * n_iter " + std::to_string(result.n_iter) + " are " +
               std::to_string(count) + " images; at most " + std::to_string(limits.max_images) + " are taken",
           "batch_size");
  return static_cast<int>(count);
}

bool is_large(const Json& value) {
  const JsonObject* object = value.if_object();
  const JsonArray* array = value.if_array();
  return (object && !object->empty()) || (array && !array->empty()) ||
         (value.is_string() && value.as_string().size() > kMaxPromptBytes);
}

// Fields without effect may be as large as a body, and the echo is kept until the images are there.
JsonObject echo_of(const Fields& fields, A1111Task task) {
  JsonObject echo;
  for (const FieldInfo& field : a1111_fields(task)) {
    const Json* said = fields.find(field.name);
    echo[field.name] = said && !is_large(*said) && !fields.is_mark(*said) && field.name != "mask"
                           ? *said
                           : parse_json(field.example, "default");
  }
  return echo;
}

}  // namespace

std::span<const FieldInfo> a1111_fields(A1111Task task) {
  static const std::vector<FieldInfo> with_pictures = [] {
    const std::span<const FieldInfo> own = a1111_picture_fields();
    std::vector<FieldInfo> all(own.begin(), own.end());
    for (const FieldInfo& field : kA1111Fields) {
      const bool of_hires = field.name.starts_with("hr_") || field.name.starts_with("firstphase_") ||
                            field.name == "enable_hr";  // which img2img has not
      if (!of_hires && std::ranges::find(own, field.name, &FieldInfo::name) == own.end()) all.push_back(field);
    }
    return all;
  }();
  if (task == A1111Task::kPicture) return with_pictures;
  return kA1111Fields;
}

A1111Request a1111_request(const http::Request& request, const Fields& fields, const JsonObject& options,
                           const ApiContext& context, A1111Task task) {
  A1111Request result;
  result.order = order_from(request, "a1111");
  refuse_what_is_not_here(fields, task);
  JsonObject used = options;
  if (const Json* changes = fields.find("override_settings")) {
    if (!changes->is_object()) fields.wrong("override_settings", "an object");
    used = with_changes(std::move(used), changes->as_object(), context);
  }
  const ModelCard& card =
      asked_model(context, std::string_view(used.at("sd_model_checkpoint").as_string()), "sd_model_checkpoint");
  const Limits limits = limits_of(context, card);
  result.order.model = card.name;
  const int count = read_count(fields, limits, result);
  ImageRequest image = read_a1111_image(fields, used, limits, task, result);
  if (task == A1111Task::kText) read_hires(fields, card, image, result);
  take_adapters(context.service, Fields({}, Manner::kLenient), image, result.order);
  refuse_networks(image);
  result.order.images = resolve_images(fields, all_names(), image, card, limits, count);
  take_refiner(context, fields, image, card, result.order, {"refiner_checkpoint", "refiner_switch_at", true});
  read_file_options(used, result.order);
  result.order.tag = fields.text("force_task_id", kMaxWordBytes).value_or("");
  result.order.previews = true;
  result.send_images = fields.flag("send_images").value_or(true);
  result.echo = echo_of(fields, task);
  return result;
}

}  // namespace inkstone::serve
