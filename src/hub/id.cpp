#include "hub/id.h"

#include <algorithm>
#include <cctype>

namespace inkstone {

bool is_hub_word(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= 96 && std::ranges::all_of(text, allowed) && text != "." && text != "..";
}

bool is_inner_path(std::string_view text) {
  constexpr size_t kMost = 1000, kMostOfPiece = 255;
  const auto allowed = [](unsigned char c) { return c >= ' ' && c != 0x7F && c != '\\'; };
  if (text.empty() || text.size() > kMost || !std::ranges::all_of(text, allowed)) return false;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    const std::string_view piece = text.substr(begin, end - begin);
    if (piece.empty() || piece.size() > kMostOfPiece || piece == "." || piece == "..") return false;
    begin = end + 1;
  }
  return true;
}

bool is_revision(std::string_view text) {
  return is_inner_path(text) && text.find("..") == std::string_view::npos &&
         std::ranges::none_of(text, [](unsigned char c) { return std::isspace(c); });
}

HubId parse_hub_id(const std::string& text) {
  const size_t at = text.find('@'), slash = text.find('/');
  if (slash == std::string::npos || slash > at) return {};
  const std::string owner = text.substr(0, slash), name = text.substr(slash + 1, at - slash - 1);
  if (!is_hub_word(owner) || !is_hub_word(name)) return {};
  return {owner, name, at == std::string::npos ? "main" : text.substr(at + 1)};
}

HubId hub_id_in_url(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  const size_t host = std::min(url.find('/'), url.size());
  const std::string_view name = url.substr(0, host);
  if (host == url.size() || (name != "huggingface.co" && name != "hf.co" && name != "hf-mirror.com")) return {};
  url.remove_prefix(host + 1);
  const size_t slash = url.find('/');
  const size_t end =
      slash == std::string_view::npos ? url.size() : std::min(url.find_first_of("/?#", slash + 1), url.size());
  return parse_hub_id(std::string(url.substr(0, end)));
}

}  // namespace inkstone
