// The server's log on standard error: one line an event, as text or JSON. Values are on one line
// and have no control characters; prompts are logged only if the operator asked. A full disk or a
// closed pipe loses lines and has no other effect.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace inkstone::serve {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class LogValue {
 public:
  LogValue(const char* text) : value_(std::string(text)) {}
  LogValue(std::string_view text) : value_(std::string(text)) {}
  LogValue(std::string text) : value_(std::move(text)) {}
  LogValue(double number) : value_(number) {}
  LogValue(std::integral auto number) : value_(static_cast<int64_t>(number)) {}
  const std::variant<std::string, int64_t, double>& value() const { return value_; }

 private:
  std::variant<std::string, int64_t, double> value_;
};

struct LogField {
  std::string_view name;  // "request", "job", "client", "worker", "seconds"
  LogValue value;
};

void set_log(bool json, LogLevel min);
void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace inkstone::serve
