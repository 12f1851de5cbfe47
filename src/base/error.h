// How errors are reported. A check that fails throws Error with the values that were wrong. Only
// code that can answer catches it: a request's handler, main, a test.
#pragma once

#include <concepts>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace inkstone {

// what() is one line for the user: it names the file, the number and what to do.
class Error : public std::runtime_error {
 public:
  enum class Kind {
    kOther,
    // The device is out of memory; less at a time may work.
    kOutOfMemory,
    kNotFinite,  // a model gave NaN or infinity
    // This process has lost the device; a new process may get it back.
    kDeviceLost
  };
  explicit Error(const std::string& what, const char* where = "", Kind kind = Kind::kOther)
      : std::runtime_error(what), where_(where), kind_(kind) {}
  // our source file and line, for --verbose
  const char* where() const { return where_; }
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

// A piece of an error's text: words, or a number as a stream writes it (a double has six digits).
class ErrorPart {
 public:
  ErrorPart(const char* words) : words_(words) {}
  ErrorPart(std::string_view words) : words_(words) {}
  ErrorPart(const std::string& words) : words_(words) {}
  ErrorPart(char letter) : kind_(Kind::kLetter), letter_(letter) {}
  ErrorPart(double number) : kind_(Kind::kReal), real_(number) {}
  ErrorPart(std::signed_integral auto number) : kind_(Kind::kSigned), signed_(number) {}
  ErrorPart(std::unsigned_integral auto number) : kind_(Kind::kUnsigned), unsigned_(number) {}
  void append_to(std::string& text) const;

 private:
  enum class Kind { kWords, kLetter, kReal, kSigned, kUnsigned } kind_ = Kind::kWords;
  union {
    std::string_view words_;
    char letter_;
    double real_;
    long long signed_;
    unsigned long long unsigned_;
  };
};

std::string text_of(std::initializer_list<ErrorPart> parts);

// fail(INKSTONE_HERE, {"what should hold: ", a, " against ", b})
template <typename Kind = Error>
[[noreturn]] void fail(const char* where, std::initializer_list<ErrorPart> parts) {
  throw Kind(text_of(parts), where);
}

}  // namespace inkstone

#define INKSTONE_TEXT_(x) #x
#define INKSTONE_TEXT(x) INKSTONE_TEXT_(x)
#define INKSTONE_HERE __FILE__ ":" INKSTONE_TEXT(__LINE__)
// INKSTONE_CHECK(a == b, "what should hold: ", a, " against ", b)
#define INKSTONE_CHECK(condition, ...) \
  if (!(condition)) ::inkstone::fail(INKSTONE_HERE, {__VA_ARGS__})
#define INKSTONE_CHECK_USAGE(condition, ...) \
  if (!(condition)) ::inkstone::fail<::inkstone::UsageError>(INKSTONE_HERE, {__VA_ARGS__})
