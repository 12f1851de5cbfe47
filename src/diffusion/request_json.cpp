#include "diffusion/request_json.h"

#include "base/json.h"
#include "base/spelling.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

Json json_of(const std::string& value) { return Json(value); }
Json json_of(float value) { return Json(shortest(value)); }
Json json_of(const Interval& value) { return JsonArray{shortest(value.from), shortest(value.to)}; }
Json json_of(const GivenFile& value) { return Json(value.source); }
Json json_of(auto value) { return Json(value); }

}  // namespace

JsonObject request_json(const ImageRequest& request) {
  JsonObject json;
  for (const RequestField& field : request_fields())
    std::visit(
        [&](auto member) {
          if (const auto& value = request.*member) json[field.name] = json_of(*value);
        },
        field.member);
  return json;
}

}  // namespace inkstone
