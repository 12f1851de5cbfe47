#include "hub/access.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/environment.h"
#include "base/error.h"
#include "base/file.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "hub/cache.h"
#include "hub/url.h"

namespace inkstone {
namespace {

constexpr size_t kMostOfToken = 4096;

std::string hub_endpoint() {
  std::string endpoint = nonempty_environment(Variable::kHfEndpoint).value_or("https://huggingface.co");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const bool plain = std::ranges::none_of(endpoint, [](unsigned char c) { return c <= ' ' || c == 0x7F; });
  // Names and passwords in an address would be shown in errors.
  INKSTONE_CHECK_USAGE(plain && !url_scheme(endpoint).empty() && endpoint.find_first_of("?#@") == std::string::npos,
                       name_of(Variable::kHfEndpoint),
                       endpoint.find('@') == std::string::npos ? "=" + shown(endpoint) : "",
                       " is no address of a hub, such as https://huggingface.co");
  return endpoint;
}

void check_online() {
  const std::string offline = lower(environment(Variable::kHfHubOffline).value_or(""));
  INKSTONE_CHECK_USAGE(offline != "1" && offline != "true" && offline != "yes" && offline != "on",
                       name_of(Variable::kHfHubOffline), "=", offline, ": nothing is downloaded; unset it to pull");
}

std::string clean_token(std::string token, const std::string& source) {
  const auto is_outer = [](unsigned char c) { return std::isspace(c); };
  token.erase(std::ranges::find_if_not(token.rbegin(), token.rend(), is_outer).base(), token.end());
  token.erase(token.begin(), std::ranges::find_if_not(token, is_outer));
  const bool plain = std::ranges::all_of(token, [](unsigned char c) { return c > ' ' && c < 0x7F; });
  INKSTONE_CHECK_USAGE(plain, source, " holds no token: a token has neither spaces nor special characters");
  return token;
}

}  // namespace

HubAccess hub_access() {
  check_online();
  HubAccess access{hub_endpoint(), "", ""};
  for (const Variable variable : {Variable::kHfToken, Variable::kHuggingFaceHubToken}) {
    if (const auto token = nonempty_environment(variable); token && access.token.empty()) {
      access.token_source = name_of(variable);
      access.token = clean_token(*token, access.token_source);
    }
  }
  if (!access.token.empty()) return access;
  const auto named = nonempty_environment(Variable::kHfTokenPath);
  const std::filesystem::path file = named ? std::filesystem::path(*named) : hub_home() / "token";
  access.token_source = file.string();
  if (is_listed(file)) access.token = clean_token(read_file(file, kMostOfToken), access.token_source);
  return access;
}

}  // namespace inkstone
