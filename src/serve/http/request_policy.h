// Checks a request before its body is read: the name by which it calls the server, the page that
// sent it, its body's type. Without these checks a foreign web page could reach a server on
// loopback, by a name that it lets point to 127.0.0.1, or by a plain form.
#pragma once

#include <string>
#include <string_view>

#include "serve/http/http.h"
#include "serve/http/settings.h"

namespace inkstone::http {

class RequestPolicy {
 public:
  // `loopback`: whether the server listens on loopback only. Throws UsageError if any origin is
  // listed and there are no keys: every page that anyone opens could then use the server.
  RequestPolicy(const Settings& settings, bool loopback);

  void check_host(const Request& request, int version) const;  // they all throw Refusal
  void check_origin(const Request& request) const;
  // Whether the request's page is listed, so that it may read the answers.
  bool listed_origin(const Request& request) const;
  // Checks the body's type and encoding. `pictures`: Route's.
  static void check_body(const Request& request, bool has_body, bool pictures);
  static bool expects_continue(const Request& request, int version);

 private:
  bool known_host(std::string_view name) const;
  bool any_origin() const;
  const Settings& settings_;
  const bool loopback_;
};

// Whether a monitor asks there: /health, /v2/health and what is below them, /metrics, /ping,
// /internal/ping.
bool is_probe(std::string_view path);
// Asked every few seconds, by probes and by each open page: no line of the log is about it.
bool is_routine(std::string_view path);
bool is_loopback(std::string_view name);  // "localhost", "127.1.2.3", "::1"
// The client's own id if it is plain, else a new one.
std::string request_id(std::string_view asked);

}  // namespace inkstone::http
