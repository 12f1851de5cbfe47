#include "serve/redis/redis_address.h"

#include <charconv>

#include "base/error.h"

namespace inkstone::serve {
namespace {

template <typename Number>
Number number_in(std::string_view text, std::string_view whole, const char* what) {
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  INKSTONE_CHECK_USAGE(fault == std::errc() && end == text.data() + text.size(), "\"", whole, "\": \"", text,
                       "\" is no ", what);
  return number;
}

}  // namespace

std::string RedisAddress::shown() const {
  if (!socket.empty()) return "unix:" + socket.string();
  const bool brackets = host.find(':') != host.npos;
  return (tls ? "rediss://" : "redis://") + (user.empty() ? "" : user + "@") + (brackets ? "[" + host + "]" : host) +
         ":" + std::to_string(port) + (database ? "/" + std::to_string(database) : "");
}

RedisAddress parse_redis_address(std::string_view text) {
  RedisAddress address;
  constexpr std::string_view kUnix = "unix:", kPlain = "redis://", kTls = "rediss://";
  if (text.starts_with(kUnix)) {
    address.socket = text.substr(kUnix.size());
    INKSTONE_CHECK_USAGE(address.socket.is_absolute(), "\"", text, "\": a path that begins with / must follow unix:");
    return address;
  }
  address.tls = text.starts_with(kTls);
  INKSTONE_CHECK_USAGE(address.tls || text.starts_with(kPlain), "\"", text,
                       "\" is no address of a Redis server, as redis://HOST, rediss://HOST:PORT or unix:/PATH");
  std::string_view rest = text.substr(address.tls ? kTls.size() : kPlain.size());
  if (const size_t at = rest.rfind('@'); at != rest.npos) {
    address.user = rest.substr(0, at);
    INKSTONE_CHECK_USAGE(
        address.user.find(':') == address.user.npos,
        "a password must not be in an address, where other users of this machine see it: put it into a "
        "file, and name that with --password-file");
    rest.remove_prefix(at + 1);
  }
  if (const size_t slash = rest.find('/'); slash != rest.npos) {
    if (slash + 1 < rest.size())
      address.database = number_in<int>(rest.substr(slash + 1), text, "number of a database");
    rest = rest.substr(0, slash);
  }
  const size_t bracket = rest.starts_with('[') ? rest.find(']') : rest.npos;
  const size_t colon = rest.find(':', bracket == rest.npos ? 0 : bracket);
  if (colon != rest.npos) address.port = number_in<uint16_t>(rest.substr(colon + 1), text, "port");
  address.host = bracket == rest.npos ? rest.substr(0, colon) : rest.substr(1, bracket - 1);
  INKSTONE_CHECK_USAGE(!address.host.empty() && address.port > 0 && address.database >= 0, "\"", text,
                       "\": the host is missing, or a number is wrong");
  return address;
}

}  // namespace inkstone::serve
