// One exchange of HTTP: what the rest of the hub's code asks of a network. Tests have their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "base/error.h"

namespace inkstone {

struct HttpRequest {
  std::string url;
  std::string bearer;  // of the header Authorization; "": none is sent
  uint64_t from = 0;   // not 0: the bytes from there on are asked for (Range)
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case

  std::string header(const std::string& name) const;  // "" if it is absent
};

// What went wrong below HTTP.
class TransportError : public Error {
 public:
  enum class Failure {
    kUnreachable,  // no such host, nobody listens, no network
    kTls,          // the host does not show that it is the one that was meant
    kCut,          // the connection broke, or nothing came for a long time: worth another try
    kOther
  };
  TransportError(const std::string& what, Failure failure) : Error(what), failure_(failure) {}
  Failure failure() const { return failure_; }

 private:
  Failure failure_;
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  // They return whether more is wanted; if not, the exchange ends, and is no failure.
  using OnHead = std::function<bool(const HttpAnswer&)>;
  using OnBytes = std::function<bool(std::span<const std::byte>)>;
  // A GET. Does not follow redirects. What on_head and on_bytes throw ends it and is thrown on. Throws TransportError.
  virtual HttpAnswer get(const HttpRequest& request, const OnHead& on_head, const OnBytes& on_bytes) = 0;
};

}  // namespace inkstone
