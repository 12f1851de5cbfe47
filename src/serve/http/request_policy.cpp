#include "serve/http/request_policy.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>
#include <optional>

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "serve/http/refusal.h"

namespace inkstone::http {
namespace {

using boost::beast::iequals;

bool of_characters(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || others.find(c) != others.npos;
  });
}

// "name" of "name:8080", "::1" of "[::1]:8080"; nothing if something else follows the name.
std::optional<std::string_view> without_port(std::string_view host) {
  const bool literal = host.starts_with('[');
  const size_t end = literal ? host.find(']') : std::min(host.find(':'), host.size());
  if (end == host.npos) return std::nullopt;
  std::string_view port = host.substr(literal ? end + 1 : end);
  const bool only_port =
      port.empty() ||
      (port.front() == ':' && std::ranges::all_of(port.substr(1), [](char c) { return c >= '0' && c <= '9'; }));
  if (!only_port) return std::nullopt;
  return host.substr(literal, end - literal);
}

bool is_address(std::string_view name) {
  boost::system::error_code error;
  boost::asio::ip::make_address(std::string(name), error);
  return !error;
}

// "http://host:80" as browsers write it: without the port that the scheme implies.
std::string_view without_usual_port(std::string_view host, std::string_view scheme) {
  const std::string_view port = scheme == "https://" ? ":443" : ":80";
  return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
}

}  // namespace

bool is_probe(std::string_view path) {
  return path.starts_with("/health") || path.starts_with("/v2/health") || path == "/metrics" || path == "/ping" ||
         path == "/internal/ping";
}

bool is_routine(std::string_view path) { return is_probe(path) || path == "/queue"; }

bool is_loopback(std::string_view name) {
  if (iequals(name, "localhost") || iequals(name, "localhost.")) return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(name), error);
  return !error && address.is_loopback();
}

std::string request_id(std::string_view asked) {
  if (!asked.empty() && asked.size() <= 128 && of_characters(asked, "-_.:")) return std::string(asked);
  return random_id(12);
}

RequestPolicy::RequestPolicy(const Settings& settings, bool loopback) : settings_(settings), loopback_(loopback) {
  INKSTONE_CHECK_USAGE(!any_origin() || !settings_.key_file.empty(),
                       "--origins *: every web page could use this server, so it needs --api-key-file; or list the "
                       "pages' sites");
}

bool RequestPolicy::any_origin() const { return std::ranges::find(settings_.origins, "*") != settings_.origins.end(); }

// A key is asked for in spite of any name, so a page with a name of its own gains nothing.
bool RequestPolicy::known_host(std::string_view name) const {
  if (!loopback_ && settings_.host_names.empty() && (!settings_.key_file.empty() || is_address(name))) return true;
  if (is_loopback(name) || iequals(name, settings_.host)) return true;
  return std::ranges::any_of(settings_.host_names, [&](const std::string& known) { return iequals(known, name); });
}

void RequestPolicy::check_host(const Request& request, int version) const {
  const std::string_view host = request.header("host");
  if (host.empty() && version == 10) return;  // not from a browser
  const auto name = without_port(host);
  if (host.empty() || !of_characters(host, "-._:[]") || !name)
    throw Refusal(400, "bad_host", "a Host header is missing or malformed");
  if (!known_host(*name))
    throw Refusal(
        421, "unknown_host",
        "this server does not answer to the name " + shown(host) + ": the operator can list it in --host-names");
}

bool RequestPolicy::listed_origin(const Request& request) const {
  const std::string_view origin = request.header("origin");
  return !origin.empty() && (any_origin() || std::ranges::any_of(settings_.origins, [&](const std::string& o) {
                               return iequals(o, origin);
                             }));
}

void RequestPolicy::check_origin(const Request& request) const {
  const std::string_view origin = request.header("origin");
  if (origin.empty() || request.method == "GET" || request.method == "HEAD" || listed_origin(request)) return;
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme) && iequals(without_usual_port(origin.substr(scheme.size()), scheme),
                                              without_usual_port(request.header("host"), scheme)))
      return;
  throw Refusal(403, "foreign_origin",
                "pages of " + shown(origin) + " may not use this server: the operator can list them in --origins");
}

void RequestPolicy::check_body(const Request& request, bool has_body, bool pictures) {
  const std::string_view encoding = request.header("content-encoding");
  if (!encoding.empty() && !iequals(encoding, "identity"))
    throw Refusal(415, "bad_content_encoding", "bodies must come as they are, without content-encoding");
  if (!has_body) return;
  const std::string_view type = request.header("content-type");
  const size_t end = std::min(type.find_first_of("; \t"), type.size());
  if (pictures && iequals(type.substr(0, end), "multipart/form-data")) {
    // A form is what a foreign page can send without asking. Browsers name the page; what does not say so is no page.
    const std::string_view site = request.header("sec-fetch-site");
    if (request.header("origin").empty() && !site.empty() && site != "same-origin" && site != "none")
      throw Refusal(403, "foreign_origin", "a form from a page of another site");
    return;
  }
  std::string_view charset = type.substr(end);
  charset.remove_prefix(std::min(charset.find_first_not_of("; \t"), charset.size()));
  if (!iequals(type.substr(0, end), "application/json") ||
      (!charset.empty() && !iequals(charset, "charset=utf-8") && !iequals(charset, "charset=\"utf-8\"")))
    throw Refusal(415, "bad_content_type",
                  std::string("the body must be of content-type application/json, in UTF-8") +
                      (pictures ? ", or multipart/form-data" : ""));
}

bool RequestPolicy::expects_continue(const Request& request, int version) {
  const std::string_view expected = request.header("expect");
  if (expected.empty() || version == 10) return false;
  if (!iequals(expected, "100-continue"))
    throw Refusal(417, "bad_expectation", "the only expectation here is 100-continue");
  return true;
}

}  // namespace inkstone::http
