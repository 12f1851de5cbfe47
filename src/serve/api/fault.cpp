#include "serve/api/fault.h"

#include "serve/support/log.h"

namespace inkstone::serve {

void refuse(int status, std::string code, std::string message, std::string field) {
  throw ApiFault(http::Error{status, std::move(code), std::move(message), std::move(field)});
}

http::Reply reply_of_exception(http::ErrorShape shape, const std::string& request_id) {
  try {
    throw;
  } catch (const ApiFault& fault) {
    return http::error_reply(shape, fault.error(), request_id);
  } catch (const UsageError& error) {
    return http::error_reply(shape, {400, "invalid_value", error.what(), "", 0}, request_id);
  } catch (const std::exception& error) {
    log_line(LogLevel::kError, "api_error", {{"request", request_id}, {"error", error.what()}});
  }
  return http::error_reply(
      shape, {500, "internal", "something went wrong here: the server's log says more, by the request id", "", 0},
      request_id);
}

http::Handler handled(http::ErrorShape shape, std::function<void(const http::ExchangePtr&)> body) {
  return [shape, body = std::move(body)](const http::ExchangePtr& exchange) {
    try {
      body(exchange);
    } catch (...) {
      exchange->reply(reply_of_exception(shape, exchange->request().id));
    }
  };
}

}  // namespace inkstone::serve
