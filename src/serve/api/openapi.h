// The description of all APIs in OpenAPI 3.1, made of the tables that their readers use.
#pragma once

#include <string>

#include "base/json_fwd.h"

namespace inkstone::serve {

JsonObject openapi_json();
// The same as text, for a client that sees the server below this path (Request::prefix).
std::string openapi_document(const std::string& prefix);

}  // namespace inkstone::serve
