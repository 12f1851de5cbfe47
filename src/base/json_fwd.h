// Declares JSON's types, for headers that only pass documents on. Code that reads a document
// includes base/json.h.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

namespace inkstone {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

std::string json_quoted(std::string_view text);  // as a JSON string

}  // namespace inkstone
