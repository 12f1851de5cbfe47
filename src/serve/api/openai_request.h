// What POST /v1/images/generations, edits and variations are asked, by OpenAI's reference; an explicit
// null is a field that is not there.
#pragma once

#include <span>

#include "serve/api/fields.h"
#include "serve/api/limits.h"
#include "serve/http/http.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

enum class OpenAiTask { kGenerate, kEdit, kVary };
std::span<const FieldInfo> openai_fields();

struct OpenAiRequest {
  Order order;
  bool urls = false;  // else base64
  bool stream = false;
  int partial_images = 0;
};
OpenAiRequest openai_request(const http::Request& request, const Fields& fields, const ApiContext& context,
                             OpenAiTask task);

}  // namespace inkstone::serve
