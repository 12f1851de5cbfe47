// HTTP/1.1 as the APIs see it: requests within all limits and with checked texts, and the ways to
// answer them. Beast does not appear here.
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
  std::string body;                                          // until the handler returns
  // Of the client: the peer, or whom a trusted proxy names. Of IPv6 its network of 64 bits, because a
  // host may have any address in it.
  std::string address;
  // How the client called the server: "https" where a proxy says so.
  std::string scheme = "http";
  // The path below which the client sees the server, "/inkstone" or empty. `path` is without it, links
  // begin with it.
  std::string prefix;
  // The client: "key:NAME" or "ip:ADDRESS".
  std::string client;
  // The client's x-request-id if it is plain, else a new one. It is on every answer and log line.
  std::string id;
  // Of its traceparent: 32 hex digits, for the log. Empty: it has none.
  std::string trace;
  std::vector<std::pair<std::string, std::string>> captured;  // values of the route's {names}

  std::string_view header(std::string_view lower_case_name) const;  // "" if it is absent
  // A parameter of the query; null if it is absent.
  const std::string* parameter(std::string_view name) const;
  std::string_view capture(std::string_view name) const;
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // A value with CR, LF or NUL throws Error when the answer is sent.
  std::vector<std::pair<std::string, std::string>> headers{};
  // If it is there it stands for `body`, and is sent without a copy.
  std::shared_ptr<const std::string> shared_body{};

  const std::string& content() const { return shared_body ? *shared_body : body; }
};

// One request and its answer: either reply(), once, or begin_stream(), write()s and end_stream().
// Only for the event thread. When the client is gone, on_gone's function is called once, and the
// other functions do nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  virtual void reply(Reply reply) = 0;
  // Begins a chunked answer; head.body is ignored. If the type is text/event-stream, a comment ":
  // ping" is sent now and then.
  virtual void begin_stream(Reply head) = 0;
  // A client that does not read loses its connection at Settings::max_unsent.
  virtual void write(std::string_view chunk) = 0;
  virtual void end_stream() = 0;
  // Bytes that were written and that the client has not taken yet. If there are many, leave
  // previews out.
  virtual size_t unsent() const = 0;
  // Calls `gone` even if the client is already gone, but not after the answer is complete.
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
  bool open = false;  // needs no key
  // The answer does not depend on the body: the handler is called at the head, and no body is read.
  bool at_head = false;
  // The body may hold pictures: it may be multipart/form-data, and have Settings::max_image_body.
  bool pictures = false;
};

class Router {
 public:
  void add(Route route);
  struct Match {
    const Route* route = nullptr;
    std::vector<std::pair<std::string, std::string>> captured;
    // If the path is known but not this method: the methods that it takes.
    std::vector<std::string> methods;
    // The shape of errors; if there is no route, the nearest family's.
    ErrorShape errors = ErrorShape::kOwn;
  };
  Match match(std::string_view method, std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// An error, which error_reply() answers in the shape of its API. `code` is a word such as
// "queue_full"; `field` is the field of the request that is wrong, or empty; `retry_after` is in
// seconds, 0: none.
struct Error {
  int status = 400;
  std::string code, message, field;
  double retry_after = 0;
};
Reply error_reply(ErrorShape shape, const Error& error, const std::string& request_id);

}  // namespace inkstone::http
