// A request that is answered at the door, before any API sees it: what to answer.
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
  http::Error error;  // not inkstone::Error, which is a base class
};

}  // namespace inkstone::http
