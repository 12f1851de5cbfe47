// Who asks where proxies stand between, and how the client called the server: X-Forwarded-For,
// -Proto, -Host and -Prefix, and Forwarded (RFC 7239). Anybody can write these headers, so they count
// only where the peer is a proxy that the operator lists.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/http.h"

namespace inkstone::http {

class TrustedProxies {
 public:
  using Address = boost::asio::ip::address;

  TrustedProxies() = default;
  // Of addresses, networks ("10.0.0.0/8", "fd00::/8") and the words "loopback" and "private". Throws
  // UsageError.
  explicit TrustedProxies(const std::vector<std::string>& list);
  bool contains(const Address& address) const;

 private:
  struct Network {
    std::array<uint8_t, 16> first;  // of IPv4 as IPv6 maps it
    int bits;
  };
  std::vector<Network> networks_;
};

// What trusted proxies say of a request. Empty: they say nothing that can be read.
struct Forwarded {
  // The nearest that is no trusted proxy, or the farthest where all are. Nothing if a name stands where
  // an address must, or if the two headers that tell it disagree (one of them then came from the client).
  std::optional<TrustedProxies::Address> client;
  std::string scheme;  // "http" or "https"
  std::string host;
  std::string prefix;  // "/inkstone"
};
Forwarded read_forwarded(const Request& request, const TrustedProxies& proxies);

// The path below which a proxy shows the server, as links carry it: "/inkstone"; "" for "/". Nothing
// if it is no such path: letters, digits, "-", "_", "." and "/", at most 200.
std::optional<std::string> path_prefix(std::string_view text);
// "/jobs" of "/inkstone/jobs"; nothing if it does not lie below.
std::optional<std::string> below(std::string_view prefix, std::string_view path);

// The trace of a W3C traceparent header, 32 hex digits; "" if it is malformed.
std::string trace_id(std::string_view traceparent);

}  // namespace inkstone::http
