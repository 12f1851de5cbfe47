#include "serve/http/forwarded.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <charconv>

#include "base/error.h"

namespace inkstone::http {
namespace {

using Address = TrustedProxies::Address;
using boost::beast::iequals;

constexpr size_t kMaxPrefix = 200;

std::array<uint8_t, 16> bytes_of(const Address& address) {
  namespace ip = boost::asio::ip;
  return (address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6()).to_bytes();
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<Address> parsed_address(std::string_view text) {
  boost::system::error_code error;
  const Address address = boost::asio::ip::make_address(std::string(text), error);
  return error ? std::nullopt : std::optional(address);
}

// "192.0.2.7", "192.0.2.7:4711", "2001:db8::1", "[2001:db8::1]:4711".
std::optional<Address> address_of_node(std::string_view node) {
  std::string_view port;
  if (node.starts_with('[')) {
    const size_t end = node.find(']');
    if (end == node.npos) return std::nullopt;
    port = node.substr(end + 1);
    node = node.substr(1, end - 1);
  } else if (std::ranges::count(node, ':') == 1) {
    port = node.substr(node.find(':'));
    node = node.substr(0, node.find(':'));
  }
  const bool good_port =
      port.empty() || (port.front() == ':' && port.size() > 1 && std::ranges::all_of(port.substr(1), [](char c) {
                         return (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || (c >= 'a' && c <= 'z') ||
                                (c >= 'A' && c <= 'Z');
                       }));
  return good_port ? parsed_address(node) : std::nullopt;
}

// Outside of quotes. Each piece without the blanks around it.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  bool quoted = false;
  size_t from = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      pieces.push_back(trimmed(text.substr(from, i - from)));
      from = i + 1;
    }
  }
  pieces.push_back(trimmed(text.substr(from)));
  return pieces;
}

std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  std::string plain;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size()) ++i;
    plain += text[i];
  }
  return plain;
}

// A header may stand on several lines, which mean one list.
std::string all_lines(const Request& request, std::string_view name) {
  std::string all;
  for (const auto& [key, value] : request.headers)
    if (key == name) all += (all.empty() ? "" : ",") + value;
  return all;
}

// A parameter of an element of Forwarded: "for" of `for="[2001:db8::1]";proto=https`.
std::string forwarded_value(std::string_view element, std::string_view name) {
  for (const std::string_view pair : split(element, ';')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    if (equals < pair.size() && iequals(pair.substr(0, equals), name)) return unquoted(pair.substr(equals + 1));
  }
  return "";
}

// From the right, because each proxy appends: what stands left of an untrusted one may be anything.
std::optional<Address> nearest_untrusted(const std::vector<std::string>& nodes, const TrustedProxies& proxies) {
  std::optional<Address> at;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    at = address_of_node(*node);
    if (!at || !proxies.contains(*at)) return at;
  }
  return at;
}

std::string first_of_list(const std::string& list) { return unquoted(split(list, ',').front()); }

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& list) {
  std::vector<std::string> all;
  for (const std::string& word : list) {
    if (word == "loopback")
      all.insert(all.end(), {"127.0.0.0/8", "::1"});
    else if (word == "private")
      all.insert(all.end(), {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"});
    else
      all.push_back(word);
  }
  for (const std::string& word : all) {
    const size_t slash = std::min(word.find('/'), word.size());
    const std::optional<Address> address = parsed_address(word.substr(0, slash));
    const int most = address && address->is_v4() ? 32 : 128;
    int bits = most;
    const char *digits = word.data() + slash + 1, *end = word.data() + word.size();
    const bool good_bits = slash == word.size() || [&] {
      const auto [stop, error] = std::from_chars(digits, end, bits);
      return error == std::errc() && stop == end && bits >= 0 && bits <= most;
    }();
    INKSTONE_CHECK_USAGE(address && good_bits, "--trusted-proxies ", word,
                         ": must be addresses (192.0.2.7, ::1), networks (10.0.0.0/8, fd00::/8), loopback or private");
    networks_.push_back({bytes_of(*address), 128 - most + bits});
  }
}

bool TrustedProxies::contains(const Address& address) const {
  const std::array<uint8_t, 16> bytes = bytes_of(address);
  return std::ranges::any_of(networks_, [&](const Network& network) {
    for (size_t i = 0; i < 16; ++i) {
      const int left = network.bits - 8 * static_cast<int>(i);
      if (left <= 0) return true;
      const auto mask = static_cast<uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
      if ((bytes[i] ^ network.first[i]) & mask) return false;
    }
    return true;
  });
}

Forwarded read_forwarded(const Request& request, const TrustedProxies& proxies) {
  Forwarded result;
  std::vector<std::string> x_nodes, nodes;
  const std::string x_for = all_lines(request, "x-forwarded-for"), forwarded = all_lines(request, "forwarded");
  if (!x_for.empty())
    for (const std::string_view node : split(x_for, ',')) x_nodes.emplace_back(unquoted(node));
  if (!forwarded.empty())
    for (const std::string_view element : split(forwarded, ',')) nodes.push_back(forwarded_value(element, "for"));
  if (!x_nodes.empty()) result.client = nearest_untrusted(x_nodes, proxies);
  if (!nodes.empty()) {
    const std::optional<Address> client = nearest_untrusted(nodes, proxies);
    result.client = x_nodes.empty() || client == result.client ? client : std::nullopt;
  }
  const std::string farthest = std::string(split(forwarded, ',').front());
  const auto either = [&](const char* header, const char* parameter) {
    const std::string value = first_of_list(all_lines(request, header));
    return value.empty() ? forwarded_value(farthest, parameter) : value;
  };
  result.scheme = either("x-forwarded-proto", "proto");
  if (result.scheme != "https" && result.scheme != "http") result.scheme.clear();
  result.host = either("x-forwarded-host", "host");
  result.prefix = path_prefix(first_of_list(all_lines(request, "x-forwarded-prefix"))).value_or("");
  return result;
}

std::optional<std::string> path_prefix(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  if (text.empty()) return "";
  const bool plain = text.front() == '/' && text.size() <= kMaxPrefix && std::ranges::all_of(text, [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              std::string_view("-_./").find(c) != std::string_view::npos;
                     });
  if (!plain || text.find("//") != text.npos || text.find("/.") != text.npos) return std::nullopt;
  return std::string(text);
}

std::optional<std::string> below(std::string_view prefix, std::string_view path) {
  if (prefix.empty()) return std::nullopt;
  std::string whole;  // in which a slash that stands twice counts once
  for (const char c : path)
    if (c != '/' || !whole.ends_with('/')) whole += c;
  if (!whole.starts_with(prefix)) return std::nullopt;
  whole.erase(0, prefix.size());
  if (whole.empty()) return "/";
  return whole.front() == '/' ? std::optional(whole) : std::nullopt;
}

std::string trace_id(std::string_view traceparent) {
  constexpr size_t kVersion = 2, kTrace = 32, kParent = 16, kFlags = 2;
  constexpr size_t kTraceAt = kVersion + 1, kParentAt = kTraceAt + kTrace + 1, kFlagsAt = kParentAt + kParent + 1;
  constexpr size_t kSize = kFlagsAt + kFlags;
  const auto hex = [&](size_t at, size_t size) {
    return std::ranges::all_of(traceparent.substr(at, size),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  const auto zero = [&](size_t at, size_t size) {
    return traceparent.substr(at, size).find_first_not_of('0') == traceparent.npos;
  };
  if (traceparent.size() < kSize) return "";
  // Later versions may append to it, after a dash.
  const bool whole = traceparent.size() == kSize || (!zero(0, kVersion) && traceparent[kSize] == '-');
  const bool dashes =
      traceparent[kTraceAt - 1] == '-' && traceparent[kParentAt - 1] == '-' && traceparent[kFlagsAt - 1] == '-';
  const bool digits = hex(0, kVersion) && hex(kTraceAt, kTrace) && hex(kParentAt, kParent) && hex(kFlagsAt, kFlags);
  if (!whole || !dashes || !digits || traceparent.starts_with("ff")) return "";
  if (zero(kTraceAt, kTrace) || zero(kParentAt, kParent)) return "";
  return std::string(traceparent.substr(kTraceAt, kTrace));
}

}  // namespace inkstone::http
