// The APIs that a server may speak: how a request is written, and where the images are in the
// answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "load/load_request.h"

namespace inkstone {

enum class Dialect { kGenerate, kOpenAi, kA1111 };
Dialect dialect(std::string_view name);  // "generate", "openai", "a1111"; else UsageError
std::string_view dialect_name(Dialect dialect);

struct Wording {
  Dialect dialect = Dialect::kGenerate;
  std::string model{};  // OpenAI's field; empty: left out
  // kGenerate: server-sent events, which tell when the first step was made.
  bool stream = true;
  bool deadlines = false;  // kGenerate: deadline_ms says the SLO
};

struct HttpText {
  std::string path, body;
};
HttpText written(const LoadRequest& request, const Wording& wording);

// The PNGs of an answer in JSON: our {"image"} or {"images"}, OpenAI's {"data"}, A1111's
// {"images"}; base64, with a data URL's prefix or without. Throws Error where there is none.
std::vector<std::string> images_of(std::string_view json);

std::string from_base64(std::string_view text);  // throws Error for anything else

}  // namespace inkstone
