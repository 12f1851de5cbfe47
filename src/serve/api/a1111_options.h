// AUTOMATIC1111's options, for each client its own: what one sets changes nothing for others.
#pragma once

#include <string>

#include "base/json.h"
#include "diffusion/lru_cache.h"
#include "serve/api/api.h"

namespace inkstone::serve {

class A1111Options {
 public:
  JsonObject of(const std::string& client, const ApiContext& context);
  // Takes those that it knows; others are left out, as the web UI does. Throws ApiFault for a model
  // that is not there or a wrong type.
  void set(const std::string& client, const JsonObject& changes, const ApiContext& context);

 private:
  LruCache<std::string, JsonObject> changed_{1024};  // by client: those that it has set
};

// `options` with `changes` made, checked so.
JsonObject with_changes(JsonObject options, const JsonObject& changes, const ApiContext& context);

// The format of the order's files, and its quality.
void read_file_options(const JsonObject& options, Order& order);

}  // namespace inkstone::serve
