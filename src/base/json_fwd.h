// JSON's types by name alone, for headers that hand documents on. Who looks into one includes
// base/json.h.
#pragma once

#include <boost/json/fwd.hpp>

namespace inkstone {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

}  // namespace inkstone
