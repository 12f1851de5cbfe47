// The one way to fail. A broken promise throws Error with the values that broke it;
// whoever can answer (a request, a command line, a test) catches it, nobody in between.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace inkstone {

// what() is one line for the user: it names the file, the number and the way out.
class Error : public std::runtime_error {
 public:
  enum class Kind {
    kOther,
    kOutOfMemory,  // a device has not the memory: less at a time may work
    kNotFinite,    // a model gave NaN or infinity
    kDeviceLost    // nothing in this process can use the device any more; another process may start it anew
  };
  explicit Error(const std::string& what, const char* where = "", Kind kind = Kind::kOther)
      : std::runtime_error(what), where_(where), kind_(kind) {}
  const char* where() const { return where_; }  // our source file and line, for --verbose
  Kind kind() const { return kind_; }

 private:
  const char* where_;
  Kind kind_;
};

// The request itself is wrong (a flag, a field, a size): exit code 2, HTTP 400.
class UsageError : public Error {
 public:
  using Error::Error;
};

template <typename Kind = Error, typename... Parts>
[[noreturn]] void fail(const char* where, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Kind(text.str(), where);
}

}  // namespace inkstone

#define INKSTONE_TEXT_(x) #x
#define INKSTONE_TEXT(x) INKSTONE_TEXT_(x)
#define INKSTONE_HERE __FILE__ ":" INKSTONE_TEXT(__LINE__)
// INKSTONE_CHECK(a == b, "what should hold: ", a, " against ", b)
#define INKSTONE_CHECK(condition, ...) \
  if (!(condition)) ::inkstone::fail(INKSTONE_HERE, __VA_ARGS__)
#define INKSTONE_CHECK_USAGE(condition, ...) \
  if (!(condition)) ::inkstone::fail<::inkstone::UsageError>(INKSTONE_HERE, __VA_ARGS__)
