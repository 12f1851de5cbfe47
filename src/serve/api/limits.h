// What this server takes of one request: the model's limits and the operator's.
#pragma once

#include "serve/api/api.h"
#include "serve/jobs/order.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

inline constexpr size_t kMaxPromptBytes = 16 << 10;
inline constexpr size_t kMaxWordBytes = 256;  // of a name
inline constexpr double kSoon = 5;            // seconds to try again after, where nobody says when

struct Limits {
  RequestLimits image;
  int max_images = 16;  // of one order
};

// The default. Throws ApiFault 503 where no worker is ready yet.
const ModelCard& ready_model(const ImageService& service);
// All that draw by themselves, the default first; with `refiners`, those too.
std::vector<const ModelCard*> ready_models(const ImageService& service, bool refiners = false);
// The one that a client means: by its name, its file's name, its title with the hash or without it, its hash, or one
// of the operator's aliases, which stand for the default; as does an empty name. Throws ApiFault 404 of that field
// with the names that are near; 503 where it is being read.
const ModelCard& asked_model(const ApiContext& context, std::string_view name, const std::string& field = "model");
// The same of a refiner. 400 for another model.
const ModelCard& asked_refiner(const ApiContext& context, std::string_view name, const std::string& field);
std::string model_title(const ModelCard& card);  // "FILE [HASH]", as AUTOMATIC1111 has it; "FILE" before it is known
Limits limits_of(const ApiContext& context, const ModelCard& card);

}  // namespace inkstone::serve
