// inkstone info: what a model is and the memory that an image of it takes, from headers alone.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/loading.h"
#include "app/progress.h"
#include "app/report.h"
#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "base/version.h"
#include "diffusion/file_kind.h"
#include "diffusion/model_facts.h"
#include "diffusion/request_json.h"
#include "diffusion/work_estimate.h"
#include "hub/find_model.h"
#include "weights/checkpoint.h"

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

constexpr size_t kUnreadShown = 5;

std::string facts_text(const ModelFacts& facts, const Pipeline& model, bool verbose) {
  std::string text = fmt::format("family     {}\n  known by {}\n", facts.family, one_line(facts.known_by));
  text += fmt::format("predicts   {} (scheduler: {})\n", facts.prediction, one_line(model.traits.scheduler_file));
  for (const std::string& note : model.notes) text += "  note: " + one_line(note) + "\n";
  if (!facts.unread.empty())
    text += fmt::format("not read   {} tensors of the files: {}\n", facts.unread.size(),
                        one_line(listed(facts.unread, verbose ? SIZE_MAX : kUnreadShown)));
  return text;
}

// A file that is no model, or one without some of its components that the options do not name either.
std::optional<FileKind> other_kind(const Options& options, const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  FileKind kind = kind_of(path);
  std::erase_if(kind.missing, [&](const std::string& component) {
    return std::ranges::any_of(replaced_components(options),
                               [&](const ReplacedComponent& one) { return one.component == component && *one.file; });
  });
  if (kind.model && kind.missing.empty()) return {};
  return kind;
}

int show_kind(const Options& options, const std::filesystem::path& path, const FileKind& kind) {
  std::error_code ignored;
  const uint64_t bytes = std::filesystem::file_size(path, ignored);
  const Checkpoint file(path);
  const size_t tensors = file.tensors().size() + file.unread().size();
  if (options.json.value_or(false)) {
    print_json({{"version", kVersion},
                {"file", clean_utf8(path.string())},
                {"what", kind.what},
                {"use", kind.use},
                {"missing", JsonArray(kind.missing.begin(), kind.missing.end())},
                {"facts", JsonArray(kind.facts.begin(), kind.facts.end())},
                {"tensors", tensors},
                {"bytes", bytes}});
    return 0;
  }
  std::string text = fmt::format("file       {} ({}, {} tensors)\nis         {}\nuse        {}\n",
                                 one_line(path.string()), byte_text(bytes), tensors, one_line(kind.what), kind.use);
  for (const std::string& fact : kind.facts) text += "  " + one_line(fact) + "\n";
  if (options.verbose.value_or(false)) {
    for (const auto& [name, view] : file.tensors())
      text += fmt::format("  {:<80} {:<5} {}\n", shown(name), name_of(view.type), to_string(view.shape));
    for (const auto& [name, type] : file.unread()) text += fmt::format("  {:<80} {}\n", shown(name), shown(type));
  }
  write_output(text);
  return 0;
}

}  // namespace

int run_info(const Options& options) {
  if (options.model) {
    const std::filesystem::path path = find_model(*options.model);
    if (const std::optional<FileKind> kind = other_kind(options, path)) return show_kind(options, path, *kind);
  }
  const Loaded loaded = load(options);
  const Pipeline& model = loaded.model();
  ImageRequest asked = options.request;
  asked.control = control_uses(options, /*plans=*/true);
  const ResolvedRequest request = resolve_request(*loaded.engine, asked);
  const EnginePlan plan = loaded.engine->plan(request);
  const DeviceInfo device = loaded.engine->backend().info();
  const double seconds = estimated_seconds(loaded, request, plan.precision);
  const ModelFacts facts = facts_of(model);

  const std::optional<Refinement> refinement = refinement_of(loaded, request, options.request);

  if (options.json.value_or(false)) {
    JsonObject memory = plan_json(plan);
    memory["width"] = request.width;
    memory["height"] = request.height;
    JsonObject defaults = request_json(resolve({}, model.traits).said());
    for (const char* key : {"prompt", "negative_prompt", "seed"}) defaults.erase(key);
    defaults["size_multiple"] = model.traits.size_multiple;
    print_json({{"version", kVersion},
                {"model", model_json(loaded)},
                {"family", facts.family},
                {"known_by", clean_utf8(facts.known_by)},
                {"prediction", facts.prediction},
                {"not_read", JsonArray(facts.unread.begin(), facts.unread.end())},
                {"scheduler", JsonObject{{"name", name_of(request.scheduler_config.kind)},
                                         {"class", diffusers_class(request.scheduler_config.kind)},
                                         {"settings", scheduler_settings(model)}}},
                {"defaults", std::move(defaults)},
                {"device", device_json(device)},
                {"memory", std::move(memory)},
                {"refiner", refinement ? Json(refiner_json(loaded, *refinement)) : Json()},
                {"estimated_seconds", seconds > 0 ? Json(seconds) : Json()}});
    return 0;
  }

  const ModelTraits& defaults = model.traits;
  std::string text = fmt::format("model      {} ({})\n{}", loaded.name, model.path.string(), components_table(model));
  text += facts_text(facts, model, options.verbose.value_or(false));
  text += adapters_table(model) + embeddings_table(model) + upscalers_table(model);
  for (const std::string& warning : adapter_warnings(model)) text += "  warning: " + one_line(warning) + "\n";
  if (!defaults.few_step.empty())
    text += fmt::format("few steps  {}: --few-step none takes the usual defaults\n", few_step_text(defaults));
  text += scheduler_text(model, request.scheduler_config);
  text += fmt::format("defaults   {}x{}, {}, guidance {}; width and height in multiples of {}\n", defaults.width,
                      defaults.height, steps_text(defaults.steps), defaults.guidance_scale, defaults.size_multiple);
  text += fmt::format("device     {}\n", device_text(device));
  const std::string less = approximations_text(request);
  text += fmt::format("memory     for {}x{} in {}{}{}{}\n{}", request.width, request.height, name_of(plan.precision),
                      request.guided ? ", with guidance" : "", less.empty() ? "" : "; ", less, plan_table(plan));
  if (refinement)
    text +=
        fmt::format("refiner    {} ({})\n{}memory of the refiner\n{}memory     {}\n", refiner_text(loaded, *refinement),
                    loaded.refiner->pipeline().path.string(), components_table(loaded.refiner->pipeline()),
                    plan_table(refinement->plan), plan_line(plan, *refinement));
  if (seconds > 0)
    text += fmt::format("time       {} an image of {} here, by its work and the machine's probed speed\n",
                        about_text(seconds), steps_text(request.steps));
  write_output(text);
  return 0;
}

}  // namespace inkstone
