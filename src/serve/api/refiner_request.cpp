#include "serve/api/refiner_request.h"

#include <algorithm>
#include <optional>

#include "diffusion/legs.h"
#include "diffusion/request_fields.h"
#include "serve/api/fault.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

struct Named {
  const ModelCard* card = nullptr;  // null: none
  float start = kRefinerStart;
  bool asked = false;  // by the request; else it is the operator's, and left out where the image has no place for it
};

// The operator's, of the default model.
const ModelCard* standard_refiner(const ApiContext& context, const ModelCard& base, const std::string& field) {
  const std::string path = context.settings.folders.refiner.string();
  if (path.empty() || &base != &ready_model(context.service)) return nullptr;
  for (const ServedModel& model : context.service.models()) {
    if (model.file.path != path) continue;
    return &asked_refiner(context, model.name, field);
  }
  throw ApiFault({503, "not_ready", "the refiner is still being read; try again soon", field, kSoon});
}

Named named_refiner(const ApiContext& context, const Fields& fields, const ModelCard& base, const RefinerNames& names) {
  const std::string field(names.model);
  Named named;
  named.start = context.settings.refiner_start;
  // A start of 1 leaves it nothing to do.
  if (const auto start = fields.number(names.start, 0, 1)) named.start = static_cast<float>(*start);
  const auto name = fields.text(names.model, kMaxWordBytes);
  if (!name && named.start < 1 && !names.start_alone && fields.has(names.start) &&
      context.settings.folders.refiner.empty())
    refuse(400, "invalid_value", "\"" + std::string(names.start) + "\": which refiner? name it as \"" + field + "\"",
           std::string(names.start));
  if (named.start >= 1 || (name && (name->empty() || *name == "None" || *name == "none"))) return named;
  named.asked = name || fields.has(names.start);
  named.card = name ? &asked_refiner(context, *name, field) : standard_refiner(context, base, field);
  if (named.card && !base.traits.sdxl)
    refuse(400, "invalid_value",
           "\"" + base.name + "\" is no SDXL model, and only their latents are what a refiner goes on with", field);
  return named;
}

}  // namespace

std::vector<FieldInfo> with_refiner(std::vector<FieldInfo> table) {
  const FieldInfo rows[] = {
      {"refiner", "string",
       "SDXL's second model, which finishes what the model began: one of GET /models by its name; \"none\": none [the "
       "server's --refiner, if it has one, for its default model]",
       "\"none\""},
      {"refiner_start", "number",
       "the part of the noise schedule after which the refiner goes on, 0 to 1; 1: never [0.8]", "1"}};
  table.insert(table.end(), std::begin(rows), std::end(rows));
  return table;
}

void take_refiner(const ApiContext& context, const Fields& fields, const ImageRequest& asked, const ModelCard& base,
                  Order& order, const RefinerNames& names) {
  const Named named = named_refiner(context, fields, base, names);
  if (!named.card) return;
  if (order.images.front()->is_enlarged_later()) {
    if (!named.asked) return;
    refuse(400, "invalid_value", "an image is enlarged by hires or finished by a refiner; leave one of them out",
           std::string(names.model));
  }
  OrderRefiner refiner{named.card->name, named.start, {}};
  std::vector<RequestPtr> images;
  const Limits limits = limits_of(context, *named.card);
  try {
    for (const RequestPtr& image : order.images) {
      auto begun = std::make_shared<ResolvedRequest>(*image);
      auto refined =
          std::make_shared<ResolvedRequest>(resolve(said_to_refiner(asked, *image), named.card->traits, limits.image));
      const RefinedCalls calls = refined_calls(*begun, *refined, named.start, std::string(names.start));
      begun->end_call = calls.base_end;
      refined->first_call = calls.refiner_first;
      refined->output = begun->output;
      images.push_back(std::move(begun));
      refiner.images.push_back(std::move(refined));
    }
  } catch (const UsageError& error) {
    if (!named.asked) return;
    if (dynamic_cast<const RequestError*>(&error))
      refuse(400, "invalid_value", std::string("the refiner takes no such image: ") + error.what(),
             std::string(names.model));
    refuse(400, "invalid_value", error.what(), std::string(names.start));
  }
  order.images = std::move(images);
  order.refiner = std::move(refiner);
}

}  // namespace inkstone::serve
