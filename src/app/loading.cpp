#include "app/loading.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "diffusion/hub.h"
#include "diffusion/scheduler_choice.h"

namespace inkstone {
namespace {

Choice choice_of(const std::optional<std::string>& text) {
  if (text == "on") return Choice::kOn;
  if (text == "off") return Choice::kOff;
  return Choice::kAuto;
}

}  // namespace

EngineOptions engine_options(const Options& options) {
  EngineOptions result;
  result.device = options.device.value_or("cpu");
  result.compiled = options.compiled.value_or("");
  for (const Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kFp16, Precision::kMixed})
    if (options.precision == name_of(precision)) result.precision = precision;
  result.vae_tiling = choice_of(options.vae_tiling);
  result.attention_slicing = choice_of(options.attention_slicing);
  if (options.memory_budget) result.memory_budget = options.memory_budget->bytes;
  return result;
}

Loaded load(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  Loaded loaded;
  Pipeline model = Pipeline::open(options.model ? find_model(*options.model) : demo_model());
  loaded.name = model.name();
  loaded.engine = std::make_unique<Engine>(std::move(model), engine_options(options));
  loaded.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return loaded;
}

SchedulerConfig scheduler_of(const Options& options, const Pipeline& model) {
  const SchedulerChoice choice{options.scheduler.value_or(""), options.karras, options.eta};
  return scheduler_config(model, choice, (model.folder / "scheduler" / "scheduler_config.json").string(), "--");
}

Request request_of(const Options& options, const Pipeline& model) {
  Request request;
  request.prompt = options.prompt.value_or("");
  request.negative_prompt = options.negative.value_or("");
  request.seed = options.seed.value_or(request.seed);
  request.steps = options.steps.value_or(model.defaults.steps);
  request.guidance = options.guidance.value_or(model.defaults.guidance);
  request.width = options.width.value_or(model.defaults.width);
  request.height = options.height.value_or(model.defaults.height);
  request.scheduler = scheduler_of(options, model);
  request.cache_interval = options.cache_interval.value_or(request.cache_interval);
  request.guidance_interval = options.guidance_interval.value_or(request.guidance_interval);
  return request;
}

}  // namespace inkstone
