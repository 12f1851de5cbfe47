#include "serve/support/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <string>

#include "base/json.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxValue = 1000,
                 // The latter is PIPE_BUF: a pipe takes such a line whole or not at all.
    kMaxLine = 4096;
std::atomic<bool> as_json = false;
std::atomic<LogLevel> min_level = LogLevel::kInfo;

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "";
}

std::string time_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
  const std::string fraction = std::to_string(1000 + millis).substr(1);
  return std::string(text.data(), size) + fraction + "Z";
}

// Bytes of a character at the front that is not shown as it is: controls, what tools read as a
// line's end (U+2028, U+2029), what turns or isolates the text's direction (U+202A to U+202E, U+2066
// to U+2069), and the byte order mark. 0: none.
size_t unshown(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  if (at(0) < 0x20 || at(0) == 0x7f) return 1;
  if (at(0) == 0xc2 && at(1) >= 0x80 && at(1) < 0xa0) return 2;  // U+0080 to U+009F
  const bool marks = at(0) == 0xe2 && at(1) == 0x80 && at(2) >= 0xa8 && at(2) <= 0xae;
  const bool isolates = at(0) == 0xe2 && at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9;
  const bool byte_order = at(0) == 0xef && at(1) == 0xbb && at(2) == 0xbf;
  return marks || isolates || byte_order ? 3 : 0;
}

// One line, no character that unshown() knows, of bounded length, cut between characters.
std::string plain(std::string_view text) {
  const bool cut = text.size() > kMaxValue;
  size_t size = std::min(text.size(), kMaxValue);
  while (cut && size > 0 && (text[size] & 0xc0) == 0x80) --size;
  std::string line;
  for (size_t i = 0; i < size;) {
    const size_t hidden = unshown(text.substr(i, size - i));
    line += hidden ? '?' : text[i];
    i += std::max<size_t>(hidden, 1);
  }
  return cut ? line + "..." : line;
}

Json json_of(const LogValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.value())) return Json(plain(*text));
  if (const auto* whole = std::get_if<int64_t>(&value.value())) return Json(*whole);
  return Json(std::get<double>(value.value()));
}

std::string text_of(const LogValue& value) {
  if (const auto* whole = std::get_if<int64_t>(&value.value())) return std::to_string(*whole);
  if (const auto* number = std::get_if<double>(&value.value())) {
    std::array<char, 400> digits;
    return {digits.data(), static_cast<size_t>(std::snprintf(digits.data(), digits.size(), "%.6f", *number))};
  }
  std::string text = plain(std::get<std::string>(value.value()));
  return text.empty() || text.find_first_of(" \"=\\") != text.npos ? boost::json::serialize(Json(text)) : text;
}

bool is_absent(const LogField& field) { return std::holds_alternative<std::monostate>(field.value.value()); }

std::string line_of(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (as_json) {
    JsonObject line{{"time", time_text()}, {"level", name_of(level)}, {"event", plain(event)}};
    for (const LogField& field : fields)
      if (!is_absent(field)) line[field.name] = json_of(field.value);
    return json_text(line);
  }
  std::string line = time_text() + ' ' + name_of(level) + ' ' + plain(event);
  for (const LogField& field : fields)
    if (!is_absent(field)) line.append(" ").append(field.name).append("=") += text_of(field.value);
  return line;
}

// A line is written at once or lost, because the caller may be the event thread, which a full pipe
// must not block.
void write_line(std::string line) {
  // A closed pipe must give EPIPE, not end the program.
  static const auto no_signal = std::signal(SIGPIPE, SIG_IGN);
  (void)no_signal;
  line += '\n';
  pollfd error_output{STDERR_FILENO, POLLOUT, 0};
  if (poll(&error_output, 1, 0) != 1 || !(error_output.revents & POLLOUT)) return;
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace

void set_log(bool json, LogLevel min) {
  as_json = json;
  min_level = min;
}

void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < min_level) return;
  std::string line = line_of(level, event, fields);
  if (line.size() >= kMaxLine) {
    if (as_json)
      line = line_of(level, event, {{"problem", "the line was too long"}});
    else
      line.resize(kMaxLine - 1);
  }
  write_line(std::move(line));
}

void log_text(LogLevel level, std::string_view event, std::string_view text) {
  if (level < min_level) return;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line = plain(text.substr(0, end));
    as_json ? log_line(level, event, {{"text", std::move(line)}}) : write_line(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace inkstone::serve
