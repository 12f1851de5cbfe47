#include "serve/gateway/worker_checks.h"

#include "base/error.h"
#include "diffusion/request_fields.h"

namespace inkstone::serve {
namespace {

constexpr double kMaxSeconds = 1e6;
constexpr int kMaxRows = 4096;

void check_side(const char* what, int pixels) {
  INKSTONE_CHECK(pixels >= 1 && pixels <= kMaxImageSide, "a worker's ", what, " of ", pixels, ": 1 to ", kMaxImageSide);
}

void check_seconds(const char* what, double seconds) {
  INKSTONE_CHECK(seconds > 0 && seconds <= kMaxSeconds, "a worker's ", what, " of ", seconds, " s");
}

void check_traits(const ModelTraits& traits) {
  check_side("default width", traits.width);
  check_side("default height", traits.height);
  check_side("multiple of sizes", traits.size_multiple);
  ImageRequest defaults;
  defaults.steps = traits.steps;
  defaults.clip_skip = traits.text_layers;
  defaults.guidance_scale = traits.guidance_scale;
  for (const RequestField& field : request_fields()) check_field(field, defaults);
  scheduler_config(traits);
}

void check_card(const ModelCard& card) {
  check_traits(card.traits);
  const RequestLimits& limits = card.limits;
  check_side("longest side", limits.max_side);
  INKSTONE_CHECK(limits.max_pixels >= 1 && limits.max_steps >= 1, "a worker that takes ", limits.max_pixels,
                 " pixels and ", limits.max_steps, " steps");
}

void check_times(const std::vector<ShapeTimes>& all) {
  INKSTONE_CHECK(!all.empty(), "a worker that knows no times");
  for (const ShapeTimes& times : all) check(times);
}

}  // namespace

void check(const Hello& hello) {
  check_card(hello.model);
  INKSTONE_CHECK(hello.max_jobs >= 1 && hello.max_jobs <= kMaxRows, "a worker of ", hello.max_jobs, " jobs");
  check_times(hello.times);
}

void check(const Described& described) {
  check_card(described.card.value());
  check_times(described.times);
}

void check(const ShapeTimes& times) {
  check_side("width", times.width);
  check_side("height", times.height);
  check_seconds("encode", times.encode_seconds);
  check_seconds("decode", times.decode_seconds);
  INKSTONE_CHECK(!times.steps.empty(), "a worker that knows no step");
  int fewer = 0;  // rows of the step before
  for (const BatchTime& step : times.steps) {
    INKSTONE_CHECK(step.batch_rows > fewer && step.batch_rows <= kMaxRows, "a worker's step of ", step.batch_rows,
                   " rows after one of ", fewer);
    fewer = step.batch_rows;
    check_seconds("step", step.seconds);
  }
}

size_t max_pixel_bytes(const WorkerCommand& command, int width, int height) {
  const size_t image = size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height);
  if (std::holds_alternative<FinishCommand>(command)) return image;
  if (const auto* step = std::get_if<StepCommand>(&command)) return image * step->previews.size();
  return 0;
}

}  // namespace inkstone::serve
