// Routes are compared segment by segment; empty segments count for nothing, so "//jobs/" is "/jobs".
// Of several that fit, the one with most literal segments is chosen, then the first.
#include <algorithm>

#include "base/error.h"
#include "serve/http/http.h"

namespace inkstone::http {
namespace {

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

bool is_capture(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

struct Fit {
  size_t shared = 0;   // segments from the left that agree
  size_t literal = 0;  // of them, those without captures
  bool whole = false;
};

Fit fit(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path) {
  Fit fit;
  for (; fit.shared < std::min(pattern.size(), path.size()); ++fit.shared) {
    const std::string_view expected = pattern[fit.shared], got = path[fit.shared];
    if (!is_capture(expected) && expected != got) return fit;
    fit.literal += !is_capture(expected);
  }
  fit.whole = pattern.size() == path.size();
  return fit;
}

}  // namespace

void Router::add(Route route) {
  INKSTONE_CHECK(route.pattern.starts_with('/'), "a route's pattern must begin with '/': ", route.pattern);
  for (const Route& other : routes_)
    INKSTONE_CHECK(other.method != route.method || other.pattern != route.pattern, "a route twice: ", route.method, " ",
                   route.pattern);
  routes_.push_back(std::move(route));
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  Match match;
  if (!path.starts_with('/')) return match;
  const std::vector<std::string_view> parts = segments(path);
  size_t nearest = 0, max_literal = 0;
  // The route has the method itself, not GET for HEAD.
  bool exact = false;
  for (const Route& route : routes_) {
    const Fit found = fit(segments(route.pattern), parts);
    if (!found.whole) {
      if (found.shared > nearest && match.methods.empty()) {
        nearest = found.shared;
        match.errors = route.errors;
      }
      continue;
    }
    if (match.methods.empty()) match.errors = route.errors;
    for (const std::string& known : {route.method, std::string(route.method == "GET" ? "HEAD" : "")})
      if (!known.empty() && std::ranges::find(match.methods, known) == match.methods.end())
        match.methods.push_back(known);
    const bool same = route.method == method;
    if (!same && !(method == "HEAD" && route.method == "GET")) continue;
    if (match.route && (found.literal < max_literal || (found.literal == max_literal && exact >= same))) continue;
    match.route = &route;
    max_literal = found.literal;
    exact = same;
  }
  if (!match.route) return match;
  match.errors = match.route->errors;
  match.methods.clear();
  const std::vector<std::string_view> pattern = segments(match.route->pattern);
  for (size_t i = 0; i < pattern.size(); ++i)
    if (is_capture(pattern[i])) match.captured.emplace_back(pattern[i].substr(1, pattern[i].size() - 2), parts[i]);
  return match;
}

}  // namespace inkstone::http
