// inkstone worker: inkstone serve starts one for each device.
#include "serve/worker/worker.h"

#include "app/commands.h"
#include "app/loading.h"
#include "base/cache_folder.h"
#include "base/error.h"
#include "base/parallel.h"
#include "diffusion/model_folder.h"
#include "hub/find_model.h"
#include "serve/gateway/curve_store.h"
#include "serve/support/log.h"
#include "serve/worker/describe_model.h"
#include "serve/worker/worker_process.h"

namespace inkstone {
namespace {

// Requests may ask for previews at any time.
Options with_previews(Options options) {
  options.preview = "auto";
  return options;
}

Options with_model(Options options, const std::string& path) {
  options.model = path;
  return options;
}

// A model of --models, or --refiner: nothing that the flags change of --model's holds for it, but for --embedding, which
// a refiner's prompts may name too.
Options other_model(const Options& options, const std::string& path) {
  Options other = with_model(options, path);
  for (const std::string& flag : model_changes(options))
    if (flag != "embedding" || path != options.refiner) forget_model_change(other, flag);
  other.preview_vae.reset();  // of one family
  return other;
}

struct First {
  std::unique_ptr<Engine> engine;
  serve::ModelFile file;  // where it is one of --models, as it lies there
};

First open_first(const Options& options, const std::string& path) {
  First first;
  if (options.models && model_changes(options).empty()) first.file = {path, files_state(path)};
  first.engine = load(with_model(options, path)).engine;
  return first;
}

// --model's, or the first of --models that can be run.
First open_first(const Options& options) {
  if (options.model) return open_first(options, *options.model);
  if (!options.models) return {load(options).engine, {}};
  Options any = options;  // not only what the refiner fits
  if (options.refiner) Pipeline::open_refiner(find_model(*options.refiner));
  any.refiner.reset();
  for (const ListedModel& model : models_in(*options.models).models) try {
      return open_first(any, model.path.string());
    } catch (const Error& error) {
      serve::log_line(serve::LogLevel::kWarning, "model_left_out", {{"reason", error.what()}});
    }
  fail<UsageError>(INKSTONE_HERE, {"--models ", *options.models, ": there is no model in it that can be run"});
}

AdapterSet adapters_of(const serve::Variant& variant) {
  AdapterSet set;
  for (const serve::VariantAdapter& adapter : variant.adapters)
    set.push_back({adapter.path, adapter.text, adapter.unet});
  return set;
}

}  // namespace

int run_worker(const Options& options) {
  INKSTONE_CHECK_USAGE(serve::is_worker_socket(serve::kWorkerSocket),
                       "do not run `inkstone worker` directly; `inkstone serve` starts it");
  serve::become_worker_process(serve::kWorkerSocket);
  serve::set_log(options.log_format == "json", serve::LogLevel::kInfo);
  set_threads(thread_count(options, {.quiet = true}));
  First first = open_first(with_previews(options));
  serve::WorkerSettings settings;
  settings.max_jobs = options.jobs.value_or(settings.max_jobs);
  settings.max_side = options.max_side.value_or(settings.max_side);
  settings.max_pixels = options.max_pixels.value_or(settings.max_pixels);
  settings.max_prompt_chunks = options.max_prompt_chunks.value_or(settings.max_prompt_chunks);
  settings.jobs_that_pay = [&](const serve::Hello& hello) {
    return serve::CurveStore(cache_folder("times")).jobs_that_pay(hello, settings.max_jobs);
  };
  const serve::ModelCard card = serve::describe_model(first.engine->pipeline());
  serve::ShelfModels models;
  models.first_file = first.file;
  models.first_fingerprint = card.fingerprint;
  models.open = [options = with_previews(options), sdxl = first.engine->pipeline().traits.sdxl](
                    const serve::Variant& variant, const MakeRoom& make_room) {
    if (variant.model.path.empty()) return open_model(options, adapters_of(variant), make_room);
    Pipeline model = open_model(other_model(options, variant.model.path), adapters_of(variant), make_room,
                                /*refiners=*/true);
    if (model.traits.sdxl == sdxl && !model.preview_vae) add_previews(model, options);
    return model;
  };
  serve::EngineShelf shelf(std::move(first.engine), std::move(models));
  return serve::serve_commands(serve::kWorkerSocket, shelf, card, settings);
}

}  // namespace inkstone
