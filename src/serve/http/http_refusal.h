// A request that is answered at the door, before any API sees it: what to answer.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "serve/http/http.h"

namespace inkstone {

class HttpRefusal : public UsageError {
 public:
  HttpRefusal(int status, std::string code, const std::string& message)
      : UsageError(message), error{status, std::move(code), message, "", 0} {}
  HttpError error;
};

}  // namespace inkstone
