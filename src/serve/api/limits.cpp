#include "serve/api/limits.h"

#include "serve/api/fault.h"

namespace inkstone::serve {

const ModelCard& ready_model(const ImageService& service) {
  constexpr double kSoon = 5;  // seconds
  if (const ModelCard* card = service.model()) return *card;
  throw ApiFault({503, "not_ready", "the model is still being loaded; try again soon", "", kSoon});
}

Limits limits_of(const ApiContext& context, const ModelCard& card) {
  const ServeSettings& settings = context.settings;
  RequestLimits own;
  own.max_side = settings.max_side;
  own.max_pixels = settings.max_pixels;
  own.max_steps = settings.max_steps;
  own.max_prompt_bytes = kMaxPromptBytes;
  return {tighter(own, card.limits), settings.max_images, settings.model_aliases};
}

}  // namespace inkstone::serve
