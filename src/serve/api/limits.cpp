#include "serve/api/limits.h"

#include <algorithm>

#include "base/spelling.h"
#include "diffusion/scheduler.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

std::string size_rule(const Limits& limits) {
  return "a multiple of " + std::to_string(limits.multiple) + " from " + std::to_string(limits.multiple) + " to " +
         std::to_string(limits.max_side);
}

void check_side(const Fields& fields, std::string_view name, int64_t side, const Limits& limits) {
  if (side >= limits.multiple && side <= limits.max_side && side % limits.multiple == 0) return;
  std::string rule = size_rule(limits);
  if (side > limits.multiple && side < limits.max_side) {
    const int64_t below = side / limits.multiple * limits.multiple;
    rule += ": the nearest are " + std::to_string(below) + " and " + std::to_string(below + limits.multiple);
  }
  if (fields.has(name)) fields.wrong(name, rule);
  refuse(400, "invalid_value", std::string(name) + " " + std::to_string(side) + " must be " + rule, std::string(name));
}

SchedulerKind kind_of(const ImageRequest& image, const ModelCard& card) {
  return scheduler_kind(image.scheduler.empty() ? card.scheduler : image.scheduler);
}

}  // namespace

const ModelCard& ready_model(const ImageService& service) {
  constexpr double kSoon = 5;  // seconds
  if (const ModelCard* card = service.model()) return *card;
  throw ApiFault({503, "not_ready", "the model is still being loaded; try again soon", "", kSoon});
}

Limits limits_of(const ApiContext& context, const ModelCard& card) {
  const ServeSettings& settings = context.settings;
  Limits limits;
  limits.multiple = std::max(1, card.size_multiple);
  limits.max_side = std::min(settings.max_side, card.max_side);
  limits.max_pixels = card.max_pixels > 0 ? std::min(settings.max_pixels, card.max_pixels) : settings.max_pixels;
  limits.max_steps = settings.max_steps;
  limits.max_images = settings.max_images;
  return limits;
}

void check_size(const Fields& fields, SizeNames names, const Limits& limits, int64_t width, int64_t height) {
  check_side(fields, names.width, width, limits);
  check_side(fields, names.height, height, limits);
  if (width * height <= limits.max_pixels) return;  // both at most max_side
  refuse(400, "invalid_value",
         std::to_string(width) + "x" + std::to_string(height) + " are " + std::to_string(width * height) +
             " pixels; at most " + std::to_string(limits.max_pixels) + " are taken here",
         std::string(names.width));
}

void read_size(const Fields& fields, SizeNames names, const Limits& limits, ImageRequest& image) {
  const int64_t width = fields.integer(names.width, INT32_MIN, INT32_MAX).value_or(image.width);
  const int64_t height = fields.integer(names.height, INT32_MIN, INT32_MAX).value_or(image.height);
  check_size(fields, names, limits, width, height);
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
}

std::optional<std::string> scheduler_by_name(std::string_view name) {
  for (const std::string& known : scheduler_names())
    if (lower(name) == known || name == diffusers_class(scheduler_kind(known))) return known;
  return std::nullopt;
}

void read_scheduler(const Fields& fields, const ModelCard& card, ImageRequest& image) {
  if (const auto name = fields.text("scheduler", kMaxWordBytes)) {
    const std::vector<std::string> names = scheduler_names();
    const auto found = scheduler_by_name(*name);
    const std::string meant = nearest(*name, names);
    if (!found)
      fields.wrong("scheduler", "one of " + listed(names) + (meant.empty() ? "" : " (did you mean " + meant + "?)"));
    image.scheduler = *found;
  }
  const SchedulerKind kind = kind_of(image, card);
  image.karras = fields.flag("karras").value_or(false);
  if (image.karras && !takes_karras(kind))
    fields.wrong("karras", "false with " + name_of(kind) + "; euler, dpm++-2m, dpm++-2m-sde and unipc take it");
  if (const auto eta = fields.number("eta", 0, 1)) {
    if (*eta != 0 && kind != SchedulerKind::kDdim) fields.wrong("eta", "0 with " + name_of(kind) + "; ddim takes it");
    if (kind == SchedulerKind::kDdim) image.eta = static_cast<float>(*eta);
  }
}

std::vector<ImageRequest> series(const ImageRequest& first, int count, std::string_view seed_name) {
  const uint64_t more = static_cast<uint64_t>(count) - 1;
  if (first.seed > UINT64_MAX - more)
    refuse(400, "invalid_value",
           std::string(seed_name) + " " + std::to_string(first.seed) + " with " + std::to_string(count) +
               " images: the last seed would be more than " + std::to_string(UINT64_MAX),
           std::string(seed_name));
  std::vector<ImageRequest> images(static_cast<size_t>(count), first);
  for (size_t i = 0; i < images.size(); ++i) images[i].seed += i;
  return images;
}

}  // namespace inkstone::serve
