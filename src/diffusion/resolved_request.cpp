#include "diffusion/resolved_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/enlargement.h"
#include "diffusion/legs.h"
#include "diffusion/prompt_composition.h"
#include "diffusion/request_fields.h"
#include "diffusion/resolved_pictures.h"
#include "diffusion/scheduler_names.h"

namespace inkstone {
namespace {

struct Check {
  const ImageRequest& filled;
  const ModelTraits& model;
  const RequestLimits& limits;

  void texts() const {
    for (const auto member : {&ImageRequest::prompt, &ImageRequest::negative_prompt}) {
      const std::string& text = *(filled.*member);
      if (text.size() <= limits.max_prompt_bytes) continue;
      const RequestField& field = request_field(member);
      throw RequestError::sentence(
          field, "",
          fmt::format("{} has {} bytes; at most {} are taken", field.name, text.size(), limits.max_prompt_bytes));
    }
  }

  void side(std::optional<int> ImageRequest::*member) const {
    const int pixels = *(filled.*member), multiple = model.size_multiple;
    if (pixels >= multiple && pixels <= limits.max_side && pixels % multiple == 0) return;
    const int max = limits.max_side / multiple * multiple;
    std::string rule = fmt::format("a multiple of {0} from {0} to {1}", multiple, max);
    if (pixels > multiple && pixels < max) {
      const int below = pixels / multiple * multiple;
      rule += fmt::format(": the nearest are {} and {}", below, below + multiple);
    }
    throw RequestError::rule(request_field(member), std::to_string(pixels), rule);
  }

  void pixels() const {
    const int64_t pixels = int64_t{*filled.width} * *filled.height;
    if (pixels <= limits.max_pixels) return;
    throw RequestError::sentence(request_field(&ImageRequest::width), std::to_string(*filled.width),
                                 fmt::format("{}x{} are {} pixels; at most {} are taken here: ask for a smaller image",
                                             *filled.width, *filled.height, pixels, limits.max_pixels));
  }

  void numbers() const {
    for (const RequestField& field : request_fields()) {
      const bool is_steps = field.member == RequestMember(&ImageRequest::steps) ||
                            field.member == RequestMember(&ImageRequest::hires_steps);
      check_field(field, filled, is_steps ? std::optional<double>(limits.max_steps) : std::nullopt);
    }
  }

  void clip_skip() const {
    if (model.text_layers == 1 || *filled.clip_skip <= model.text_layers) return;
    throw RequestError::rule(
        request_field(&ImageRequest::clip_skip), std::to_string(*filled.clip_skip),
        range_rule("a whole number", 1, model.text_layers) + ", because the text encoder has no more layers");
  }

  // Of a prompt with AND.
  void composed() const {
    if (model.distilled)
      throw RequestError::sentence(request_field(&ImageRequest::prompt), "",
                                   "prompt: AND composes prompts by guidance, and this model was distilled with "
                                   "guidance: write \"and\" for the word");
    constexpr const char* kNone = " with AND in the prompt";
    if (filled.cache_interval != 1)
      throw RequestError::rule(request_field(&ImageRequest::cache_interval), std::to_string(*filled.cache_interval),
                               std::string("1") + kNone);
    if (filled.guidance_interval != Interval{}) {
      const RequestField& interval = request_field(&ImageRequest::guidance_interval);
      throw RequestError::rule(interval, value_text(interval, filled), std::string("0,1") + kNone);
    }
  }

  // With the model's own.
  ResolvedControl control(const ControlUse& use) const {
    const RequestField& field = request_field(&ImageRequest::control);
    const auto found = std::ranges::find(model.controls, use.model, &ControlTrait::name);
    if (found == model.controls.end()) {
      std::vector<std::string> names;
      for (const ControlTrait& one : model.controls) names.push_back(one.name);
      throw RequestError::sentence(
          field, use.model,
          names.empty() ? "control: no ControlNet was opened with this model"
                        : fmt::format("control: there is no {}; there are {}", shown(use.model), listed(names)));
    }
    const int multiple = found->size_multiple;
    if (*filled.width % multiple || *filled.height % multiple)
      throw RequestError::sentence(field, use.model,
                                   fmt::format("control: {} draws images whose sides are multiples of {}, not {}x{}",
                                               shown(use.model), multiple, *filled.width, *filled.height));
    return {use, static_cast<int>(found - model.controls.begin()), found->features};
  }

  std::vector<ResolvedControl> controls() const {
    std::vector<ResolvedControl> resolved;
    if (!filled.control) return resolved;
    if (filled.cache_interval != 1 && !filled.control->empty())
      throw RequestError::rule(request_field(&ImageRequest::cache_interval), std::to_string(*filled.cache_interval),
                               "1 with a control: a shallow evaluation would leave out what it adds");
    for (const ControlUse& use : *filled.control) resolved.push_back(control(use));
    return resolved;
  }

  // The side must be within the limit, and so must the pixels.
  void hires(const ResolvedRequest& resolved) const {
    const RequestField& field = request_field(&ImageRequest::hires);
    const int wide = resolved.final_width, tall = resolved.final_height;
    const std::string size =
        fmt::format("{}x{} enlarged {} times is {}x{}", resolved.width, resolved.height, resolved.hires, wide, tall);
    const auto refuse = [&](const std::string& why) {
      throw RequestError::sentence(field, value_text(field, filled), "hires: " + size + why);
    };
    if (wide == resolved.width && tall == resolved.height) refuse(": ask for more, or leave it out");
    if (std::max(wide, tall) > limits.max_side)
      refuse(fmt::format("; the longest side that is taken is {}", limits.max_side));
    if (int64_t{wide} * tall > limits.max_pixels)
      refuse(fmt::format(", {} pixels; at most {} are taken here", int64_t{wide} * tall, limits.max_pixels));
    if (filled.image) refuse(", which goes with images that begin without a picture");
    if (filled.cache_interval != 1) refuse(", which does not go with a cache_interval");
    if (!resolved.hires_upscaler.of_latent && !model.encodes)
      refuse(fmt::format(" by {}, of its pixels, and this model's VAE has no encoder: take one of latents",
                         resolved.hires_upscaler.name));
  }

  void pictures() const {
    if (model.encodes || !(filled.image || model.inpaints)) return;
    throw RequestError::sentence(request_field(&ImageRequest::image), "",
                                 "image: this model's VAE is a decoder alone, so nothing can begin with a picture: put "
                                 "TAESD's encoder beside its decoder, or take a whole VAE");
  }

  void approximations(bool guided) const {
    const RequestField &cache = request_field(&ImageRequest::cache_interval),
                       &interval = request_field(&ImageRequest::guidance_interval);
    const bool has_interval = filled.guidance_interval != Interval{};
    const auto refuse = [&](const RequestField& field, const std::string& rule) {
      throw RequestError::rule(field, value_text(field, filled), rule);
    };
    constexpr const char* kNone = ", because the memory here is planned without approximations";
    if (filled.cache_interval != 1 && !limits.approximations) refuse(cache, std::string("1") + kNone);
    if (has_interval && !limits.approximations) refuse(interval, std::string("0,1") + kNone);
    if (has_interval && model.distilled)
      refuse(interval, "0,1 with this model, which was distilled with guidance and has it in every evaluation");
    if (has_interval && !guided)
      refuse(interval,
             fmt::format(
                 "0,1 without guidance, and the guidance scale is {}: ask for more than 1, or leave the interval out",
                 *filled.guidance_scale));
  }
};

// What models that take no clip skip do anyway.
constexpr int kPenultimate = 2;

std::string no_clip_skip(int clip_skip) {
  return fmt::format("clip_skip {} has no effect: this model always takes the text encoder's last layer but one",
                     clip_skip);
}

// What is wrong with a prompt is said of its field.
template <typename Read>
auto read_prompt(std::optional<std::string> ImageRequest::*member, const Read& read) {
  try {
    return read();
  } catch (const UsageError& error) {
    const RequestField& field = request_field(member);
    throw RequestError::sentence(field, "", std::string(field.name) + ": " + error.what());
  }
}

std::vector<float> part_weights_of(const ResolvedRequest& request) {
  if (request.prompt_syntax != PromptSyntax::kA1111) return {1};
  return read_prompt(&ImageRequest::prompt, [&] {
    std::vector<float> weights;
    for (const ComposedPrompt& part : composed_prompts(request.prompt, kMaxPromptTexts)) weights.push_back(part.weight);
    return weights;
  });
}

// The schedulers that take a schedule, or eta.
template <typename Takes>
std::string those_that(const Takes& takes) {
  std::vector<std::string> names = scheduler_names();
  std::erase_if(names, [&](const std::string& name) { return !takes(scheduler_kind(name)); });
  return listed(names);
}

std::string with_schedule(Schedule schedule) {
  return those_that([&](SchedulerKind kind) { return takes_schedule(kind, schedule); });
}

std::string schedules_of(SchedulerKind kind) {
  std::vector<std::string> names = schedule_choices();
  std::erase_if(names, [&](const std::string& name) { return !takes_schedule(kind, find_schedule(name)->schedule); });
  return listed(names);
}

// What is said by `schedule` and `karras`, which check_field() has let pass. `own` is the model's
// file's. The request is nearer than the scheduler's name, and that is nearer than the file.
void set_schedule(const ImageRequest& request, Schedule own, SchedulerConfig& config) {
  const RequestField& field = request_field(&ImageRequest::karras);
  const std::string kind = name_of(config.kind);
  Schedule said = Schedule::kDefault;
  if (request.schedule) {
    said = find_schedule(*request.schedule)->schedule;
    if (!takes_schedule(config.kind, said))
      throw RequestError::rule(request_field(&ImageRequest::schedule), *request.schedule,
                               fmt::format("one of {} with {}; {} goes with {}", schedules_of(config.kind), kind,
                                           name_of(said), with_schedule(said)));
    config.schedule = said == Schedule::kDefault ? own : said;
  }
  if (!request.karras) return;
  const bool karras = *request.karras;
  if (karras && !takes_schedule(config.kind, Schedule::kKarras))
    throw RequestError::rule(field, "true",
                             "false with " + kind + "; it can be true with " + with_schedule(Schedule::kKarras));
  if (said != Schedule::kDefault && karras != (said == Schedule::kKarras))
    throw RequestError::rule(field, value_text(field, request),
                             fmt::format("{} with schedule {}, or left out", !karras, name_of(said)));
  if (karras) config.schedule = Schedule::kKarras;
  if (!karras && config.schedule == Schedule::kKarras) config.schedule = Schedule::kDefault;
}

// What the scheduler's name means, which check_field() has let pass.
std::optional<Sampling> asked_sampling(const ImageRequest& request) {
  if (!request.scheduler) return std::nullopt;
  const FoundSampler found = find_sampler(*request.scheduler).value();
  return sampling_of(*found.sampler, found.schedule);
}

// diffusers' other classes ignore it and draw another image.
void check_zero_snr(const ModelTraits& model, SchedulerKind kind) {
  const Json* said =
      model.scheduler->is_object() ? model.scheduler->get_object().if_contains("rescale_betas_zero_snr") : nullptr;
  if (!said || *said != Json(true) || takes_zero_snr(kind)) return;
  throw RequestError::rule(
      request_field(&ImageRequest::scheduler), name_of(kind),
      fmt::format("one of {} with this model, whose noise schedule ends without signal (rescale_betas_zero_snr)",
                  those_that([](SchedulerKind other) { return takes_zero_snr(other); })));
}

SchedulerConfig scheduler_of(const ImageRequest& request, const ModelTraits& model,
                             std::vector<std::string>& warnings) {
  const std::optional<Sampling> sampling = asked_sampling(request);
  SchedulerConfig config = scheduler_config(model, sampling ? name_of(sampling->kind) : "");
  if (sampling) warnings = sampling->warnings;
  check_zero_snr(model, config.kind);
  const Schedule own = config.schedule;
  if (sampling && sampling->schedule) config.schedule = *sampling->schedule;
  set_schedule(request, own, config);
  if (request.eta) {
    if (*request.eta != 0 && !takes_eta(config.kind))
      throw RequestError::rule(request_field(&ImageRequest::eta), fmt::format("{}", *request.eta),
                               "0 with " + name_of(config.kind) + "; it can be more with " + those_that(takes_eta));
    config.eta = *request.eta;
  }
  return config;
}

std::shared_ptr<const Scheduler> scheduler_for(const SchedulerConfig& config, int steps) {
  try {
    return make_scheduler(config, steps);
  } catch (const UsageError& error) {  // not so many steps, or not so few
    throw RequestError::sentence(request_field(&ImageRequest::steps), std::to_string(steps), error.what());
  }
}

constexpr float kHiresStrengthOfLatents = 0.7f, kHiresStrengthOfPixels = 0.5f;

void set_hires(const ImageRequest& request, const ModelTraits& model, ResolvedRequest& result) {
  if (request.hires_upscaler)
    result.hires_upscaler = named_upscaler(&ImageRequest::hires_upscaler, request, model.upscalers);
  result.first_width = result.final_width = result.width;
  result.first_height = result.final_height = result.height;
  result.hires = request.hires.value_or(1);
  if (result.hires <= 1) {
    if (request.hires_strength || request.hires_steps.value_or(0) > 0)
      result.warnings.push_back(std::string(request.hires_strength ? "hires_strength" : "hires_steps") +
                                " has no effect without hires");
    return;
  }
  result.hires_strength = request.hires_strength.value_or(result.hires_upscaler.of_latent ? kHiresStrengthOfLatents
                                                                                          : kHiresStrengthOfPixels);
  result.hires_steps = request.hires_steps.value_or(0);
  const auto larger = [&](int side) {
    const int64_t pixels = static_cast<int64_t>(side * shortest(result.hires));
    return static_cast<int>(std::min<int64_t>(pixels / model.size_multiple * model.size_multiple, INT32_MAX));
  };
  result.final_width = larger(result.width);
  result.final_height = larger(result.height);
}

// What of it only its schedule tells.
void check_hires_leg(const ResolvedRequest& request) {
  try {
    hires_leg(request);
  } catch (const RequestError&) {
    throw;
  } catch (const UsageError& error) {
    throw RequestError::sentence(request_field(&ImageRequest::hires_strength),
                                 fmt::format("{}", request.hires_strength), std::string("hires: ") + error.what());
  }
}

}  // namespace

bool ResolvedControl::runs(int evaluation, int evaluations) const {
  const double all = evaluations;
  // as the decimals that were written: a float's 0.2 is more than 1 / 5
  return !(evaluation / all < shortest(use.start) || (evaluation + 1) / all > shortest(use.end));
}

RequestLimits tighter(const RequestLimits& a, const RequestLimits& b) {
  return {std::min(a.max_side, b.max_side), std::min(a.max_pixels, b.max_pixels), std::min(a.max_steps, b.max_steps),
          std::min(a.max_prompt_bytes, b.max_prompt_bytes), a.approximations && b.approximations};
}

std::vector<WeightedSchedule> ResolvedRequest::prompt_schedules() const {
  return read_prompt(&ImageRequest::prompt, [&] { return composed_schedules(prompt, prompt_syntax, steps); });
}

PromptSchedule ResolvedRequest::negative_schedule() const {
  return read_prompt(&ImageRequest::negative_prompt,
                     [&] { return prompt_schedule(negative_prompt, prompt_syntax, steps); });
}

int ResolvedRequest::steps_run() const { return steps - first_call / (calls_twice(scheduler_config.kind) ? 2 : 1); }

ImageRequest ResolvedRequest::said() const {
  ImageRequest request;
  if (enlargement) return said_of_enlargement(*this);
  request.prompt = prompt;
  request.negative_prompt = negative_prompt;
  request.prompt_syntax = name_of(prompt_syntax);
  request.clip_skip = clip_skip;
  request.seed = seed;
  request.steps = steps;
  request.guidance_scale = guidance_scale;
  request.guidance_rescale = guidance_rescale;
  request.scheduler = name_of(scheduler_config.kind);
  request.schedule = name_of(scheduler_config.schedule);
  request.karras = scheduler_config.schedule == Schedule::kKarras;
  request.eta = scheduler_config.eta;
  request.width = width;
  request.height = height;
  request.cache_interval = cache_interval;
  request.guidance_interval = guidance_interval;
  if (!controls.empty()) {
    request.control.emplace();
    for (const ResolvedControl& control : controls) request.control->push_back(control.use);
    request.control_guess = control_guess;
  }
  if (hires > 1) {
    request.hires = hires;
    request.hires_strength = hires_strength;
    request.hires_steps = hires_steps;
  }
  if (hires > 1 || enlarged) request.hires_upscaler = hires_upscaler.name;
  if (!image) return request;
  request.image = image;
  request.strength = strength;
  request.resize_mode = name_of(resize_mode);
  if (!repaint.any()) return request;
  request.mask = repaint.mask;
  request.mask_invert = repaint.invert;
  request.mask_blur = repaint.blur;
  request.mask_fill = name_of(repaint.fill);
  request.only_masked = repaint.only_masked;
  request.padding = repaint.padding;
  if (repaint.outpaint.any()) request.outpaint = text_of(repaint.outpaint);
  request.keep_size = repaint.keep_size;
  return request;
}

ResolvedRequest resolve(const ImageRequest& request, const ModelTraits& model, const RequestLimits& limits) {
  if (request.upscaler) return resolve_enlargement(request, model, limits);
  ResolvedRequest result;
  result.prompt = request.prompt.value_or("");
  result.negative_prompt = request.negative_prompt.value_or("");
  check_field(request_field(&ImageRequest::prompt_syntax), request);
  if (request.prompt_syntax) result.prompt_syntax = inkstone::prompt_syntax(*request.prompt_syntax);
  result.clip_skip = request.clip_skip.value_or(result.clip_skip);
  result.seed = request.seed.value_or(result.seed);
  result.steps = request.steps.value_or(model.steps);
  result.guidance_scale = request.guidance_scale.value_or(model.guidance_scale);
  result.guidance_rescale = request.guidance_rescale.value_or(result.guidance_rescale);
  result.width = request.width.value_or(model.width);
  result.height = request.height.value_or(model.height);
  take_pictures(request, model, limits, result);
  set_hires(request, model, result);
  result.cache_interval = request.cache_interval.value_or(result.cache_interval);
  result.guidance_interval = request.guidance_interval.value_or(result.guidance_interval);
  check_field(request_field(&ImageRequest::scheduler), request);
  check_field(request_field(&ImageRequest::schedule), request);
  result.scheduler_config = scheduler_of(request, model, result.warnings);

  ImageRequest filled = result.said();
  filled.control = request.control;
  const Check check{filled, model, limits};
  check.texts();
  result.part_weights = part_weights_of(result);
  const bool composed = result.part_weights.size() > 1;
  if (composed) check.composed();
  result.guided = (result.guidance_scale > 1 || composed) && !model.distilled;
  check.side(&ImageRequest::width);
  check.side(&ImageRequest::height);
  check.pixels();
  check.numbers();
  check.pictures();
  if (result.hires > 1) check.hires(result);
  check.approximations(result.guided);
  check.clip_skip();
  result.controls = check.controls();
  result.control_guess = request.control_guess.value_or(false);
  if (result.clip_skip > model.text_layers) {
    if (result.clip_skip > kPenultimate) result.warnings.push_back(no_clip_skip(result.clip_skip));
    result.clip_skip = 1;
  }
  if (model.only_steps && result.steps != model.only_steps)
    result.warnings.push_back(
        fmt::format("this model is {}, which was made for {} {} and is run at {}: the image may be bad", model.few_step,
                    model.only_steps, model.only_steps == 1 ? "step" : "steps", result.steps));
  result.scheduler = scheduler_for(result.scheduler_config, result.steps);
  if (result.image) result.first_call = first_call_of(result);
  if (result.hires > 1) check_hires_leg(result);
  for (std::string& idle : idle_fields(request, result)) result.warnings.push_back(std::move(idle));
  result.prompt_schedules();
  result.negative_schedule();
  for (std::string& warning : prompt_warnings(result.prompt, result.negative_prompt))
    result.warnings.push_back(std::move(warning));
  return result;
}

SchedulerConfig scheduler_config(const ModelTraits& model, const std::string& name) {
  INKSTONE_CHECK(model.scheduler, "a model without a scheduler's configuration");
  std::optional<SchedulerKind> kind;
  if (!name.empty()) kind = scheduler_kind(name);
  SchedulerConfig config = scheduler_config(*model.scheduler, model.scheduler_file, kind,
                                            model.sdxl ? SetByPipeline::kNothing : SetByPipeline::kOffsetAndClip);
  config.sdxl = model.sdxl;
  return config;
}

}  // namespace inkstone
