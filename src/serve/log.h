// The server's log: a line an event, as text or JSON, on standard error. Values are shown on one line, without control characters;
// prompts are never among them unless the operator asked. A full disk or a closed pipe loses lines, nothing else.
#pragma once

#include <initializer_list>
#include <string_view>

#include "base/json.h"

namespace inkstone {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
struct LogField {
  std::string_view name;  // "request", "job", "client", "worker", "seconds"
  Json value;
};

void set_log(bool json, LogLevel least);
void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace inkstone
