// A request that is refused before any API sees it, with the error to answer.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "serve/http/http.h"

namespace inkstone::http {

class Refusal : public UsageError {
 public:
  Refusal(int status, std::string code, const std::string& message)
      : UsageError(message), error{status, std::move(code), message, "", 0} {}
  // http::Error, not inkstone::Error, which is a base class.
  http::Error error;
};

}  // namespace inkstone::http
