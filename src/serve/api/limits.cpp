#include "serve/api/limits.h"

#include <algorithm>

#include "base/spelling.h"
#include "base/utf8.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

constexpr size_t kTitleDigits = 10;  // of a hash, that the web UI shows
constexpr size_t kNamesListed = 20;

bool is_called(const ModelCard& card, std::string_view name) {
  if (name == card.name || name == card.file || name == model_title(card)) return true;
  const std::string_view hash = card.hash;
  if (!hash.empty())
    return name == hash || name == hash.substr(0, kTitleDigits) ||
           name == card.name + " [" + std::string(hash.substr(0, kTitleDigits)) + "]";
  // A title of another server's, while the hash here is not known.
  return name.ends_with(']') && (name.starts_with(card.file + " [") || name.starts_with(card.name + " ["));
}

}  // namespace

const ModelCard& ready_model(const ImageService& service) {
  if (const auto& models = service.models(); !models.empty() && models.front().card) return *models.front().card;
  throw ApiFault({503, "not_ready", "the model is still being loaded; try again soon", "", kSoon});
}

std::vector<const ModelCard*> ready_models(const ImageService& service, bool refiners) {
  std::vector<const ModelCard*> cards;
  for (const ServedModel& model : service.models())
    if (model.card && (refiners || !model.card->traits.refiner)) cards.push_back(&*model.card);
  if (cards.empty()) ready_model(service);
  return cards;
}

namespace {

[[noreturn]] void refuse_name(const ApiContext& context, std::string_view name, const std::string& field,
                              bool refiners) {
  std::vector<std::string> names;
  for (const ServedModel& model : context.service.models()) {
    if (model.card && model.card->traits.refiner == refiners) names.push_back(model.name);
    if (model.name != name || model.card) continue;
    if (model.fault.empty())
      throw ApiFault(
          {503, "not_ready", "the model \"" + model.name + "\" is still being read; try again soon", field, 1});
    refuse(404, "model_not_found", "the model \"" + model.name + "\" cannot be run; the server's log says why", field);
  }
  const std::string meant = nearest(name, names);
  refuse(404, "model_not_found",
         std::string("there is no ") + (refiners ? "refiner" : "model") + " \"" + shown(name) + "\" here" +
             (meant.empty() ? "; " : "; did you mean \"" + meant + "\"? ") +
             (names.size() == 1 ? "there is " : "there are ") + (names.empty() ? "none" : listed(names, kNamesListed)),
         field);
}

}  // namespace

const ModelCard& asked_model(const ApiContext& context, std::string_view name, const std::string& field) {
  if (name.empty()) return ready_model(context.service);
  for (const ModelCard* card : ready_models(context.service, true)) {
    if (!is_called(*card, name)) continue;
    if (card->traits.refiner)
      refuse(
          400, "invalid_value",
          "\"" + shown(name) +
              "\" is SDXL's refiner, which finishes what a base model began and draws nothing by itself: name a base "
              "model, and this one as the refiner",
          field);
    return *card;
  }
  if (std::ranges::count(context.settings.model_aliases, name) > 0) return ready_model(context.service);
  refuse_name(context, name, field, false);
}

const ModelCard& asked_refiner(const ApiContext& context, std::string_view name, const std::string& field) {
  for (const ModelCard* card : ready_models(context.service, true)) {
    if (!is_called(*card, name)) continue;
    if (!card->traits.refiner)
      refuse(400, "invalid_value",
             "\"" + shown(name) + "\" is no refiner of SDXL: its U-Net is told no score of the image", field);
    return *card;
  }
  refuse_name(context, name, field, true);
}

std::string model_title(const ModelCard& card) {
  return card.hash.empty() ? card.file : card.file + " [" + card.hash.substr(0, kTitleDigits) + "]";
}

Limits limits_of(const ApiContext& context, const ModelCard& card) {
  const ServeSettings& settings = context.settings;
  RequestLimits own;
  own.max_side = settings.max_side;
  own.max_pixels = settings.max_pixels;
  own.max_steps = settings.max_steps;
  own.max_prompt_bytes = kMaxPromptBytes;
  return {tighter(own, card.limits), settings.max_images};
}

}  // namespace inkstone::serve
