// inkstone generate: a prompt becomes PNG files.
#include "diffusion/generate.h"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/loading.h"
#include "app/output_path.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/file.h"
#include "base/image_file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/utf8.h"
#include "base/version.h"
#include "diffusion/parameters.h"
#include "diffusion/process.h"
#include "diffusion/request_json.h"

namespace inkstone {
namespace {

struct ImageFile {
  std::filesystem::path path;
  uint64_t seed = 0;
  StageTimes times;
  std::vector<std::string> warnings;
};

struct Session {
  Options options;
  Console console;
  Loaded loaded;
  ResolvedRequest request;  // of the first image
  int count = 1;
  EnginePlan plan;
  double seconds = 0;  // of everything
};

void read_prompts(ImageRequest& request) {
  INKSTONE_CHECK_USAGE(request.prompt, "no prompt: say what to draw, inkstone generate \"a fox on a teal background\"");
  if (request.prompt == "-") {
    constexpr size_t kMaxBytes = size_t{16} << 20;
    request.prompt = read_input(kMaxBytes);
    while (!request.prompt->empty() && (request.prompt->back() == '\n' || request.prompt->back() == '\r'))
      request.prompt->pop_back();
  }
  request.prompt = clean_utf8(*request.prompt);
  if (request.negative_prompt) request.negative_prompt = clean_utf8(*request.negative_prompt);
}

void draw_seed(ImageRequest& request, int count) {
  if (!request.seed) request.seed = random_seed();
  const uint64_t more = static_cast<uint64_t>(count - 1);
  INKSTONE_CHECK_USAGE(*request.seed <= UINT64_MAX - more, "--seed ", *request.seed, " --count ", count,
                       ": the last seed would be more than ", UINT64_MAX);
}

void report_loaded(const Session& session) {
  const Loaded& loaded = session.loaded;
  const ResolvedRequest& request = session.request;
  std::string text = fmt::format("model      {} ({})\n{}", loaded.name, loaded.model().folder.string(),
                                 components_table(loaded.model()));
  text += fmt::format("device     {}, {} threads\n", device_text(loaded.engine->backend().info()), threads());
  text += fmt::format("precision  {}\nmemory     {}\n", name_of(session.plan.precision), plan_line(session.plan));
  for (const std::string& reason : session.plan.reasons) text += fmt::format("  given up: {}\n", reason);
  text += fmt::format("image      {}x{}, {} steps of {}{}, guidance {}, seed {}", request.width, request.height,
                      request.steps, name_of(request.scheduler_config.kind),
                      request.scheduler_config.karras ? " (Karras)" : "", request.guidance_scale, request.seed);
  if (session.count > 1) text += fmt::format(" to {}", request.seed + static_cast<uint64_t>(session.count - 1));
  if (const std::string less = approximations_text(request); !less.empty()) text += "\napproximate  " + less;
  session.console.say(text);
  session.console.detail("memory, in detail\n" + plan_table(session.plan));
}

void report_image(const Console& console, const ImageFile& image) {
  for (const std::string& warning : image.warnings) console.say("inkstone: warning: " + one_line(warning));
  const StageTimes& times = image.times;
  console.say(fmt::format("text encoder {}, U-Net {}, VAE {}, total {}, peak memory {}",
                          duration_text(times.text_encoder), duration_text(times.unet), duration_text(times.vae),
                          duration_text(times.total), byte_text(peak_resident_bytes())));
  console.say(fmt::format("seed {} -> {}", image.seed, image.path.string()));
}

ImageFile draw(Session& session, int number, ProgressView& progress) {
  ResolvedRequest request = session.request;
  request.seed += static_cast<uint64_t>(number);
  Generated generated = generate(*session.loaded.engine, request, progress.callbacks(number + 1));
  progress.clear();
  const std::vector<std::byte> png =
      encode_png(generated.image, {{kParametersKeyword, parameters_text(request, session.loaded.name)}});
  ImageFile image{image_path(session.options.out, request.prompt, request.seed, session.count > 1), request.seed,
                  generated.times, std::move(generated.warnings)};
  write_file(image.path, png);
  return image;
}

JsonObject result_json(const Session& session, const std::vector<ImageFile>& files) {
  JsonArray images, warnings;
  StageTimes sum;
  for (const ImageFile& image : files) {
    const StageTimes& times = image.times;
    images.push_back(JsonObject{{"path", clean_utf8(image.path.string())},
                                {"seed", image.seed},
                                {"width", session.request.width},
                                {"height", session.request.height},
                                {"times", times_json(times)}});
    sum = {sum.prepare + times.prepare, sum.text_encoder + times.text_encoder, sum.unet + times.unet,
           sum.vae + times.vae, 0};
    if (warnings.empty())  // all images have the same prompt
      for (const std::string& warning : image.warnings) warnings.emplace_back(clean_utf8(warning));
  }
  sum.total = session.seconds;
  JsonObject parameters = request_json(session.request.said()), times = times_json(sum),
             memory = plan_json(session.plan);
  parameters["count"] = session.count;
  times["load_seconds"] = session.loaded.seconds;
  const size_t budget = session.loaded.engine->options().memory_budget;
  memory["budget_bytes"] = budget ? Json(budget) : Json();
  memory["planned_peak_bytes"] = session.plan.peak_bytes;
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
          {"device", std::move(device)},
          {"precision", name_of(session.plan.precision)},
          {"warnings", std::move(warnings)}};
}

}  // namespace

int run_generate(Options options) {
  const auto begin = std::chrono::steady_clock::now();
  Session session;
  session.console = {options.quiet.value_or(false), options.verbose.value_or(false)};
  session.count = options.count.value_or(1);
  read_prompts(options.request);
  draw_seed(options.request, session.count);
  if (options.out) check_extension(*options.out, ".png");
  set_threads(options.threads.value_or(usable_cores()));

  session.loaded = load(options);
  Engine& engine = *session.loaded.engine;
  session.request = resolve_request(engine, options.request);
  session.options = std::move(options);
  const ResolvedRequest& request = session.request;
  const uint64_t pixel_bytes =
      uint64_t{3} * static_cast<uint64_t>(request.width) * static_cast<uint64_t>(request.height);
  check_writable(image_path(session.options.out, request.prompt, request.seed, session.count > 1), pixel_bytes);
  session.plan = engine.plan(request);
  report_loaded(session);

  ProgressView progress(progress_kind(session.console.quiet), session.count);
  std::vector<ImageFile> files;
  for (int number = 0; number < session.count; ++number) {
    files.push_back(draw(session, number, progress));
    report_image(session.console, files.back());
  }
  if (const auto card = ascend_status(engine.backend())) session.console.detail(card_text(*card));
  session.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (session.options.json.value_or(false)) print_json(result_json(session, files));
  return 0;
}

}  // namespace inkstone
