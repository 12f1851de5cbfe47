#include "hub/url.h"

#include <cctype>
#include <memory>

#include "base/spelling.h"
#include "hub/libcurl.h"

namespace inkstone {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { libcurl().url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

// Null if the text is no address.
Url parsed(const std::string& text) {
  Url url(libcurl().url_new());
  if (!url || libcurl().url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return {};
  return url;
}

std::string part_of(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (!url || libcurl().url_get(url.get(), part, &text, flags) != CURLUE_OK || !text) return "";
  std::string result = text;
  libcurl().free_text(text);
  return result;
}

}  // namespace

std::string url_scheme(const std::string& text) {
  const Url url = parsed(text);
  const std::string scheme = lower(part_of(url, CURLUPART_SCHEME));
  return (scheme == "http" || scheme == "https") && !part_of(url, CURLUPART_HOST).empty() ? scheme : "";
}

std::string url_host(const std::string& text) { return lower(part_of(parsed(text), CURLUPART_HOST)); }

std::string url_origin(const std::string& text) {
  const std::string scheme = url_scheme(text);
  if (scheme.empty()) return "";
  return scheme + "://" + url_host(text) + ":" + part_of(parsed(text), CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string url_resolved(const std::string& base, const std::string& target) {
  const Url url = parsed(base);
  if (!url || libcurl().url_set(url.get(), CURLUPART_URL, target.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return "";
  return part_of(url, CURLUPART_URL);
}

std::string url_quoted(std::string_view text, bool keep_slash) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte < 0x80 && (std::isalnum(byte) || std::string_view("-._~").find(c) != std::string_view::npos);
    if (plain || (keep_slash && c == '/')) {
      result += c;
      continue;
    }
    result += '%';
    for (const int digit : {byte >> 4, byte & 15}) result += "0123456789ABCDEF"[digit];
  }
  return result;
}

}  // namespace inkstone
