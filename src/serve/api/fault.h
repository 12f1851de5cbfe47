// An error of a request: thrown where it is found, answered in the shape of its API.
#pragma once

#include <string>

#include "base/error.h"
#include "serve/http/http.h"

namespace inkstone::serve {

class ApiFault : public Error {
 public:
  explicit ApiFault(http::Error error) : Error(error.message), error_(std::move(error)) {}
  const http::Error& error() const { return error_; }

 private:
  http::Error error_;
};

// Codes of what the client did wrong: "invalid_json", "invalid_value", "unknown_parameter",
// "missing_parameter", "not_found", ...
[[noreturn]] void refuse(int status, std::string code, std::string message, std::string field = "");

// A handler whose exceptions become answers; one that is not meant for clients becomes 500 and a
// line in the log.
http::Handler handled(http::ErrorShape shape, std::function<void(const http::ExchangePtr&)> body);

// The same as an answer: call it in a catch block.
http::Reply reply_of_exception(http::ErrorShape shape, const std::string& request_id);

}  // namespace inkstone::serve
