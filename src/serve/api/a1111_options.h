// AUTOMATIC1111's options, for each client its own: what one sets changes nothing for others. The
// model is not an option.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "diffusion/lru_cache.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

std::string model_title(const ModelCard& card);                        // "NAME [HASH]"
bool is_model(const ModelCard& card, std::string_view name_or_title);  // or its hash

class A1111Options {
 public:
  JsonObject of(const std::string& client, const ModelCard& card);
  // Takes those that it knows; others are left out, as the web UI does. Throws ApiFault for another
  // model or a wrong type.
  void set(const std::string& client, const JsonObject& changes, const ModelCard& card);

 private:
  LruCache<std::string, JsonObject> changed_{1024};  // by client
};

// `options` with `changes` made, checked so.
JsonObject with_changes(JsonObject options, const JsonObject& changes, const ModelCard& card);

}  // namespace inkstone::serve
