// inkstone generate: a prompt becomes PNG files.
#include "diffusion/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/image_output.h"
#include "app/loading.h"
#include "app/preview_view.h"
#include "app/progress.h"
#include "app/prompts.h"
#include "app/report.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/utf8.h"
#include "base/version.h"
#include "diffusion/parameters.h"
#include "diffusion/process.h"
#include "diffusion/prompt_syntax.h"
#include "diffusion/request_json.h"
#include "diffusion/scheduler_names.h"

namespace inkstone {
namespace {

struct ImageFile {
  WrittenImage file;
  std::string prompt;
  uint64_t seed = 0;
  StageTimes times;
  std::vector<std::string> warnings;
};

struct Session {
  Options options;
  Console console;
  std::vector<std::string> prompts;  // one for all images, or one for each
  Loaded loaded;
  ResolvedRequest request;  // of the first image
  int count = 1;
  bool seed_drawn = false;
  EnginePlan plan;
  std::optional<Refinement> refinement;  // of the first image
  double seconds = 0;                    // of everything
};

ResolvedRequest request_of(const Session& session, int number) {
  ResolvedRequest request = session.request;
  request.seed += static_cast<uint64_t>(number);
  if (session.prompts.size() > 1) request.prompt = session.prompts[static_cast<size_t>(number)];
  return request;
}

// What was said of an image, for the refiner.
ImageRequest asked_of(const Session& session, int number) {
  ImageRequest asked = session.options.request;
  asked.prompt = request_of(session, number).prompt;
  return asked;
}

void draw_seed(ImageRequest& request, int count) {
  if (!request.seed) request.seed = random_seed();
  const uint64_t more = static_cast<uint64_t>(count - 1);
  INKSTONE_CHECK_USAGE(*request.seed <= UINT64_MAX - more, "--seed ", *request.seed, " and ", count,
                       " images: the last seed would be more than ", UINT64_MAX);
}

std::string schedule_text(Schedule schedule) {
  return schedule == Schedule::kDefault ? "" : fmt::format(" ({})", schedule_name(schedule).label);
}

// "demo \u00b7 64x64 \u00b7 20 steps of pndm \u00b7 guidance 7.5 \u00b7 seed 42"
std::string summary(const Session& session) {
  const ResolvedRequest& request = session.request;
  std::string text =
      fmt::format("{0} \u00b7 {1}x{2} \u00b7 {3} of {4}{5} \u00b7 guidance {6} \u00b7 seed {7}", session.loaded.name,
                  request.width, request.height, steps_text(request.steps), name_of(request.scheduler_config.kind),
                  schedule_text(request.scheduler_config.schedule), request.guidance_scale, request.seed);
  if (request.is_enlarged_later())
    text += fmt::format(" \u00b7 by {} to {}x{} with strength {}: {} more", request.hires_upscaler.name,
                        request.final_width, request.final_height, request.hires_strength,
                        steps_text(request.hires_steps > 0 ? request.hires_steps : request.steps));
  if (request.image)
    text += fmt::format(" \u00b7 from {} with strength {}: {} run", request.image->source, request.strength,
                        steps_text(request.steps_run()));
  if (session.refinement) text += " \u00b7 refined by " + refiner_text(session.loaded, *session.refinement);
  if (session.count > 1) text += fmt::format(" to {}", request.seed + static_cast<uint64_t>(session.count - 1));
  if (session.seed_drawn) text += " (drawn)";
  if (const std::string few = few_step_text(session.loaded.model().traits); !few.empty()) text += " \u00b7 " + few;
  if (const std::string less = approximations_text(request); !less.empty()) text += " \u00b7 approximate: " + less;
  return text;
}

// What is known of the requests before one is drawn.
std::vector<std::string> asked_warnings(const Session& session) {
  std::vector<std::string> warnings = adapter_warnings(session.loaded.model());
  const std::vector<std::string>& notes = session.loaded.model().notes;
  warnings.insert(warnings.end(), notes.begin(), notes.end());
  warnings.insert(warnings.end(), session.request.warnings.begin(), session.request.warnings.end());
  for (const std::string& prompt : session.prompts)
    for (const std::string& warning : prompt_warnings(prompt, session.request.negative_prompt))
      if (std::ranges::find(warnings, warning) == warnings.end()) warnings.push_back(warning);
  return warnings;
}

void report_loaded(const Session& session) {
  const Loaded& loaded = session.loaded;
  session.console.detail(
      fmt::format("model      {} ({})\n{}{}{}{}device     {}\nprecision  {}\nmemory     {}", loaded.name,
                  loaded.model().path.string(), components_table(loaded.model()), adapters_table(loaded.model()),
                  embeddings_table(loaded.model()), upscalers_table(loaded.model()),
                  device_text(loaded.engine->backend().info()), name_of(session.plan.precision),
                  session.refinement ? plan_line(session.plan, *session.refinement) : plan_line(session.plan)));
  session.console.detail("memory, in detail\n" + plan_table(session.plan));
  if (session.refinement)
    session.console.detail("refiner, in detail\n" + components_table(loaded.refiner->pipeline()) +
                           plan_table(session.refinement->plan));
  session.console.say(summary(session));
  for (const std::string& reason : session.plan.reasons) session.console.say("given up: " + reason);
  for (const std::string& warning : asked_warnings(session))
    session.console.say("inkstone: warning: " + one_line(warning));
}

void report_image(const Console& console, const ImageFile& image) {
  for (const std::string& warning : image.warnings) console.say("inkstone: warning: " + one_line(warning));
  const StageTimes& times = image.times;
  console.say(fmt::format("text encoder {}, U-Net {}, VAE {}, total {}, peak memory {}",
                          duration_text(times.text_encoder), duration_text(times.unet), duration_text(times.vae),
                          duration_text(times.total), byte_text(peak_resident_bytes())));
  console.say(fmt::format("seed {} -> {}{}", image.seed, image.file.place, image.file.replaced ? " (replaced)" : ""));
}

// Before the work. That a file may not be replaced is looked at for each image.
void check_output(const Session& session, const ImageOutput& output) {
  const int checked = session.options.no_clobber.value_or(false) ? session.count : 1;
  for (int number = 0; number < checked; ++number) {
    const ResolvedRequest request = request_of(session, number);
    output.check(request.prompt, request.seed, request.finished_size());
  }
}

struct Views {
  ProgressView progress;
  PreviewView previews;
};

ImageFile draw(const Session& session, const ImageOutput& output, int number, Views& views) {
  const ResolvedRequest request = request_of(session, number);
  const std::optional<Refinement> refinement = refinement_of(session.loaded, request, asked_of(session, number));
  Progress progress = views.progress.callbacks(number + 1, request.steps_run());
  progress.drawn = [&](Engine& engine, const Job& job) { views.previews.stepped(engine, job); };
  Generated generated = generate(*session.loaded.engine, request, progress, refinement ? &*refinement : nullptr);
  views.progress.clear();
  views.previews.finished(generated.image);
  AdapterTexts adapters = adapter_texts(session.loaded.model().adapters);
  adapters.embedding_hashes = generated.embedding_hashes;
  WrittenImage file = output.write(
      generated.image,
      parameters_text(request, session.loaded.name, adapters,
                      {refinement ? session.loaded.refiner->pipeline().name() : "", session.loaded.refiner_start}),
      request.prompt, request.seed);
  return {std::move(file), request.prompt, request.seed, generated.times, std::move(generated.warnings)};
}

JsonObject result_json(const Session& session, const std::vector<ImageFile>& files) {
  JsonArray images, warnings;
  for (const std::string& warning : asked_warnings(session)) warnings.emplace_back(clean_utf8(warning));
  const size_t asked = warnings.size();
  StageTimes sum;
  for (const ImageFile& image : files) {
    const StageTimes& times = image.times;
    JsonObject one{{"path", clean_utf8(image.file.place)},
                   {"seed", image.seed},
                   {"width", session.request.final_width},
                   {"height", session.request.final_height},
                   {"times", times_json(times)}};
    if (session.prompts.size() > 1) one["prompt"] = image.prompt;
    images.push_back(std::move(one));
    sum = {sum.prepare + times.prepare, sum.text_encoder + times.text_encoder, sum.unet + times.unet,
           sum.vae + times.vae, 0};
    if (warnings.size() == asked || session.prompts.size() > 1)  // images of one prompt have the same warnings
      for (const std::string& warning : image.warnings) warnings.emplace_back(clean_utf8(warning));
  }
  sum.total = session.seconds;
  JsonObject parameters = request_json(session.request.said()), times = times_json(sum),
             memory = plan_json(session.plan);
  parameters["num_images_per_prompt"] = session.prompts.size() > 1 ? 1 : session.count;
  times["load_seconds"] = session.loaded.seconds;
  const size_t budget = session.loaded.engine->options().memory_budget;
  memory["budget_bytes"] = budget ? Json(budget) : Json();
  memory["planned_peak_bytes"] = session.refinement ? session.refinement->peak_bytes : session.plan.peak_bytes;
  memory["measured_peak_bytes"] = peak_resident_bytes();
  JsonObject device = device_json(session.loaded.engine->backend().info());
  device["threads"] = threads();
  if (const auto card = ascend_status(session.loaded.engine->backend())) device["card"] = card_json(*card);
  return {{"version", kVersion},
          {"images", std::move(images)},
          {"parameters", std::move(parameters)},
          {"times", std::move(times)},
          {"memory", std::move(memory)},
          {"model", model_json(session.loaded)},
          {"refiner", session.refinement ? Json(refiner_json(session.loaded, *session.refinement)) : Json()},
          {"device", std::move(device)},
          {"precision", name_of(session.plan.precision)},
          {"warnings", std::move(warnings)}};
}

}  // namespace

int run_generate(Options options) {
  const auto begin = std::chrono::steady_clock::now();
  Session session;
  session.console = {options.quiet.value_or(false), options.verbose.value_or(false)};
  session.prompts = read_prompts(options);
  session.count = options.prompts ? static_cast<int>(session.prompts.size()) : options.count.value_or(1);
  take_adapter_tags(session.prompts, options);
  options.request.prompt = session.prompts.front();
  if (options.request.negative_prompt) options.request.negative_prompt = clean_utf8(*options.request.negative_prompt);
  session.seed_drawn = options.seed_drawn || !options.request.seed;
  draw_seed(options.request, session.count);
  const ImageOutput output(options, session.count);
  set_threads(thread_count(options, session.console));

  options.request.control = control_uses(options);
  session.loaded = load(options);
  Engine& engine = *session.loaded.engine;
  for (const std::string& prompt : session.prompts) {  // all of them, before the first is drawn
    options.request.prompt = prompt;
    const ResolvedRequest request = resolve_request(engine, options.request);
    if (&prompt == &session.prompts.front()) session.request = request;
  }
  session.options = std::move(options);
  check_output(session, output);
  session.plan = engine.plan(session.request);
  session.refinement = refinement_of(session.loaded, session.request, asked_of(session, 0));
  report_loaded(session);

  Views views{{progress_kind(session.console.quiet), session.count},
              PreviewView(previews_of(session.options, session.console))};
  std::vector<ImageFile> files;
  for (int number = 0; number < session.count; ++number) {
    files.push_back(draw(session, output, number, views));
    report_image(session.console, files.back());
  }
  if (const auto card = ascend_status(engine.backend())) session.console.detail(card_text(*card));
  session.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (session.options.json.value_or(false)) print_json(result_json(session, files));
  return 0;
}

}  // namespace inkstone
