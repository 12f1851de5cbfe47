// What this server takes of one request: the model's limits and the operator's.
#pragma once

#include "serve/api/api.h"
#include "serve/jobs/order.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

inline constexpr size_t kMaxPromptBytes = 16 << 10;
inline constexpr size_t kMaxWordBytes = 256;  // of a name

struct Limits {
  RequestLimits image;
  int max_images = 16;                     // of one order
  std::vector<std::string> model_aliases;  // other names of the model
};

// Throws ApiFault 503 where no worker is ready yet.
const ModelCard& ready_model(const ImageService& service);
Limits limits_of(const ApiContext& context, const ModelCard& card);

}  // namespace inkstone::serve
