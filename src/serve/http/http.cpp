#include "serve/http/http.h"

#include "base/error.h"

namespace inkstone::http {
namespace {

template <typename Pairs>
const std::string* found(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name) return &value;
  return nullptr;
}

}  // namespace

std::string_view Request::header(std::string_view lower_case_name) const {
  const std::string* value = found(headers, lower_case_name);
  return value ? std::string_view(*value) : std::string_view();
}

const std::string* Request::parameter(std::string_view name) const { return found(query, name); }

std::string_view Request::capture(std::string_view name) const {
  const std::string* value = found(captured, name);
  INKSTONE_CHECK(value, "the route has no {", name, "}");
  return *value;
}

}  // namespace inkstone::http
