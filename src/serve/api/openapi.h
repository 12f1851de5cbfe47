// The description of all APIs in OpenAPI 3.1, made of the tables that their readers use.
#pragma once

#include <string>

#include "base/json_fwd.h"

namespace inkstone::serve {

JsonObject openapi_json();
std::string openapi_document();  // the same as text, written once

}  // namespace inkstone::serve
