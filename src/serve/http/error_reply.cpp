// The shape of errors in each API:
//   own, OpenAI  {"error": {"message", "type", "param", "code"}}, own with "request_id" too
//   A1111        {"error": code, "detail": message, "body": "", "errors": message}
//   OIP          {"error": message}
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "base/json.h"
#include "serve/http/http.h"

namespace inkstone::http {
namespace {

const char* type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

// The official client tries 408, 409, 429 and 5xx again unless it is told not to.
bool tried_again(int status) { return status == 409 || status == 429 || status >= 500; }

Json open_ai(const Error& error) {
  return {{"message", error.message},
          {"type", type_of(error.status)},
          {"param", error.field.empty() ? Json(nullptr) : Json(error.field)},
          {"code", error.code.empty() ? Json(nullptr) : Json(error.code)}};
}

}  // namespace

Reply error_reply(ErrorShape shape, const Error& error, const std::string& request_id) {
  Reply reply;
  reply.status = error.status;
  Json body = JsonObject{};
  switch (shape) {
    case ErrorShape::kOwn:
      body.as_object()["error"] = open_ai(error);
      body.at("error").as_object()["request_id"] = request_id;
      break;
    case ErrorShape::kOpenAi:
      body.as_object()["error"] = open_ai(error);
      if (error.retry_after <= 0 && tried_again(error.status)) reply.headers.emplace_back("x-should-retry", "false");
      break;
    case ErrorShape::kA1111:
      body = {{"error", error.code}, {"detail", error.message}, {"body", ""}, {"errors", error.message}};
      break;
    case ErrorShape::kOip: body.as_object()["error"] = error.message; break;
  }
  if (error.retry_after > 0) {
    const double seconds = std::min(std::max(1.0, std::ceil(error.retry_after)), 86400.0);
    reply.headers.emplace_back("retry-after", std::to_string(static_cast<int>(seconds)));
  }
  reply.body = json_text(body);
  return reply;
}

}  // namespace inkstone::http
