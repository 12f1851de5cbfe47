// The server's log on standard error: one line an event, as text or JSON. Values are on one line
// and have no control characters; prompts are logged only if the operator asked. A full disk or pipe,
// or a closed one, loses lines and has no other effect. Nothing else of the server writes there.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
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
  // Of nothing: the field is left out.
  LogValue(std::optional<std::string> text) {
    if (text) value_ = std::move(*text);
  }
  using Value = std::variant<std::monostate, std::string, int64_t, double>;
  const Value& value() const { return value_; }

 private:
  Value value_;
};

// The text, or nothing where it is empty.
inline std::optional<std::string> given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

struct LogField {
  std::string_view name;  // "request", "job", "client", "worker", "seconds"
  LogValue value;
};

void set_log(bool json, LogLevel min);
void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
// A sentence or a table for people: these lines as they are, or as text; of JSON an event for each line
// ("text").
void log_text(LogLevel level, std::string_view event, std::string_view text);

}  // namespace inkstone::serve
