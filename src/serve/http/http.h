// HTTP/1.1 as the APIs see it: requests with all limits kept and texts checked, and the ways to
// answer one. No Beast here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkstone::http {

struct Request {
  std::string method;  // "GET", "POST", "DELETE", "HEAD", "OPTIONS"
  // percent-decoded UTF-8, begins with '/', no NUL, no "..", without the query.
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;    // decoded UTF-8, in order
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string address;  // of the peer
  // Whose request it is: "key:NAME", "user:NAME" (HTTP Basic with a known key) or "ip:ADDRESS".
  std::string client;
  // The client's x-request-id where it is plain, else a new one; on every answer and log line.
  std::string id;
  std::vector<std::pair<std::string, std::string>> captured;  // what the route's {names} stand for

  std::string_view header(std::string_view lower_case_name) const;  // "" where it is not there
  // Of the query; null where it is not there.
  const std::string* parameter(std::string_view name) const;
  std::string_view capture(std::string_view name) const;
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // Values with CR, LF or NUL are refused: Error.
  std::vector<std::pair<std::string, std::string>> headers;
};

// One request and its answer: either reply(), once, or begin_stream(), write()s and end_stream().
// Event thread only. When the client is gone, on_gone's function is called once and everything else
// does nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  virtual void reply(Reply reply) = 0;
  // The body is ignored; chunked; a comment ": ping" now and then where the type is
  // text/event-stream.
  virtual void begin_stream(Reply head) = 0;
  // A client that does not read loses its connection at Settings::max_unsent.
  virtual void write(std::string_view chunk) = 0;
  virtual void end_stream() = 0;
  // Bytes written and not yet taken by the client: time to leave previews out.
  virtual size_t unsent() const = 0;
  // Also where it already is; not after the answer is complete.
  virtual void on_gone(std::function<void()> gone) = 0;
};
using ExchangePtr = std::shared_ptr<Exchange>;
using Handler = std::function<void(const ExchangePtr&)>;

enum class ErrorShape { kOwn, kOpenAi, kA1111, kOip };  // how a route's errors look

struct Route {
  std::string method;
  std::string pattern;  // "/jobs/{id}"
  Handler handler;
  ErrorShape errors = ErrorShape::kOwn;
  size_t max_body = 0;  // 0: Settings::max_body
  bool open = false;    // needs no key: health, the page
};

class Router {
 public:
  void add(Route route);
  struct Match {
    const Route* route = nullptr;
    std::vector<std::pair<std::string, std::string>> captured;
    // Of the path, where the method alone is not there.
    std::vector<std::string> methods;
    // Of the nearest family, where there is no route.
    ErrorShape errors = ErrorShape::kOwn;
  };
  Match match(std::string_view method, std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// An error's answer in the shape of its API. `type` and `code` are words like
// "invalid_request_error", "queue_full"; field: of the request, or empty; retry_after: seconds, 0:
// none.
struct Error {
  int status = 400;
  std::string code, message, field;
  double retry_after = 0;
};
Reply error_reply(ErrorShape shape, const Error& error, const std::string& request_id);

}  // namespace inkstone::http
