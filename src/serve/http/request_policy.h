// The rules that a request keeps before its body is read: whom it calls, which page sent it, what
// it brings. On loopback a web page anywhere could otherwise reach the server: by a name that it
// lets point to 127.0.0.1, or by a plain form.
#pragma once

#include <string>
#include <string_view>

#include "serve/http/http.h"
#include "serve/http/settings.h"

namespace inkstone::http {

class RequestPolicy {
 public:
  RequestPolicy(const Settings& settings, bool loopback);  // whether the server listens there only

  void check_host(const Request& request, int version) const;  // throws Refusal, as all of these
  void check_origin(const Request& request) const;
  // Its answers may be read by that page.
  bool listed_origin(const Request& request) const;
  // What the body is and how it comes.
  static void check_body(const Request& request, bool has_body);
  static bool expects_continue(const Request& request, int version);

 private:
  bool known_host(std::string_view name) const;
  const Settings& settings_;
  const bool loopback_;
};

bool is_loopback(std::string_view name);  // "localhost", "127.1.2.3", "::1"
// The client's where it is plain, else a new one.
std::string request_id(std::string_view asked);

}  // namespace inkstone::http
