// What POST /generate is asked: fields by diffusers' names, in the query, in a JSON body, or some
// here and some there.
#pragma once

#include <span>

#include "serve/api/fields.h"
#include "serve/api/limits.h"
#include "serve/http/http.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

std::span<const FieldInfo> generate_fields();

enum class AnswerAs { kJson, kImage, kEvents, kJobUrl };
struct GenerateRequest {
  Order order;
  AnswerAs answer = AnswerAs::kJson;
};

Fields read_generate_fields(const http::Request& request);
GenerateRequest generate_request(const http::Request& request, const Fields& fields, const ApiContext& context);

// Client, request id and Idempotency-Key (printable ASCII, at most 255).
Order order_from(const http::Request& request, std::string api);

}  // namespace inkstone::serve
