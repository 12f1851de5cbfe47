// inkstone info: what a model is and the memory that an image of it takes, from headers alone.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands.h"
#include "app/console.h"
#include "app/loading.h"
#include "app/progress.h"
#include "app/report.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/version.h"
#include "diffusion/request_json.h"
#include "diffusion/work_estimate.h"

namespace inkstone {
namespace {

JsonObject scheduler_settings(const Pipeline& model) {
  JsonObject settings;
  if (!model.traits.scheduler->is_object()) return settings;
  for (const auto& [key, value] : model.traits.scheduler->get_object())
    if (!key.starts_with('_')) settings[key] = value;
  return settings;
}

std::string setting_text(const Json& value) {
  return value.is_double() ? fmt::format("{}", value.get_double()) : one_line(json_text(value));
}

std::string scheduler_text(const Pipeline& model, const SchedulerConfig& scheduler) {
  std::string text = fmt::format("scheduler  {} ({})", name_of(scheduler.kind), diffusers_class(scheduler.kind));
  for (const auto& [key, value] : scheduler_settings(model))
    text += fmt::format("\n  {:<28}{}", std::string_view(key.data(), key.size()), setting_text(value));
  return text + "\n";
}

// 0: the device tells too little.
double estimated_seconds(const Loaded& loaded, const ResolvedRequest& request, Precision precision) {
  const double speed = usual_speed(loaded.engine->backend(), precision);
  if (!(speed > 0)) return 0;
  return seconds_of_image(work_of_image(loaded.model(), request.width, request.height), request, speed);
}

std::string about_text(double seconds) {
  if (seconds < 90) return fmt::format("about {:.0f} s", std::max(1.0, seconds));
  return seconds < 5400 ? fmt::format("about {:.0f} min", seconds / 60) : fmt::format("about {:.0f} h", seconds / 3600);
}

}  // namespace

int run_info(const Options& options) {
  const Loaded loaded = load(options);
  const Pipeline& model = loaded.model();
  const ResolvedRequest request = resolve_request(*loaded.engine, options.request);
  const EnginePlan plan = loaded.engine->plan(request);
  const DeviceInfo device = loaded.engine->backend().info();
  const double seconds = estimated_seconds(loaded, request, plan.precision);

  if (options.json.value_or(false)) {
    JsonObject memory = plan_json(plan);
    memory["width"] = request.width;
    memory["height"] = request.height;
    JsonObject defaults = request_json(resolve({}, model.traits).said());
    for (const char* key : {"prompt", "negative_prompt", "seed"}) defaults.erase(key);
    defaults["size_multiple"] = model.traits.size_multiple;
    print_json({{"version", kVersion},
                {"model", model_json(loaded)},
                {"scheduler", JsonObject{{"name", name_of(request.scheduler_config.kind)},
                                         {"class", diffusers_class(request.scheduler_config.kind)},
                                         {"settings", scheduler_settings(model)}}},
                {"defaults", std::move(defaults)},
                {"device", device_json(device)},
                {"memory", std::move(memory)},
                {"estimated_seconds", seconds > 0 ? Json(seconds) : Json()}});
    return 0;
  }

  const ModelTraits& defaults = model.traits;
  std::string text = fmt::format("model      {} ({})\n{}", loaded.name, model.path.string(), components_table(model));
  text += adapters_table(model);
  for (const std::string& note : model.notes) text += "  note: " + one_line(note) + "\n";
  for (const std::string& warning : adapter_warnings(model)) text += "  warning: " + one_line(warning) + "\n";
  text += scheduler_text(model, request.scheduler_config);
  text += fmt::format("defaults   {}x{}, {}, guidance {}; width and height in multiples of {}\n", defaults.width,
                      defaults.height, steps_text(defaults.steps), defaults.guidance_scale, defaults.size_multiple);
  text += fmt::format("device     {}\n", device_text(device));
  const std::string less = approximations_text(request);
  text += fmt::format("memory     for {}x{} in {}{}{}{}\n{}", request.width, request.height, name_of(plan.precision),
                      request.guided ? ", with guidance" : "", less.empty() ? "" : "; ", less, plan_table(plan));
  if (seconds > 0)
    text += fmt::format("time       {} an image of {} here, by its work and the machine's probed speed\n",
                        about_text(seconds), steps_text(request.steps));
  write_output(text);
  return 0;
}

}  // namespace inkstone
