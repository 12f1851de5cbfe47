#include "serve/http/target.h"

#include <algorithm>
#include <cstdint>

#include "serve/http/refusal.h"

namespace inkstone::http {
namespace {

constexpr size_t kMaxParameters = 100;

[[noreturn]] void refuse(const char* why) { throw Refusal(400, "bad_target", why); }

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string unescaped(std::string_view text, bool form) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (form && c == '+') c = ' ';
    if (c == '%') {
      if (i + 2 >= text.size()) refuse("an escape in the URL is cut short: %XX are two hexadecimal digits");
      const int high = digit(text[i + 1]), low = digit(text[i + 2]);
      if (high < 0 || low < 0) refuse("an escape in the URL is not two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
      if (!form && (c == '/' || c == '\\')) refuse("an escaped slash in the path");
    }
    if (c == 0) refuse("NUL in the URL");
    plain += c;
  }
  if (!valid_utf8(plain)) refuse("the URL is not UTF-8");
  return plain;
}

std::string parse_path(std::string_view raw) {
  if (!raw.starts_with('/')) refuse("the target must be a path that begins with '/'");
  std::string path = unescaped(raw, false);
  if (std::ranges::any_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; }))
    refuse("a control character or a backslash in the path");
  for (size_t start = 1; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = std::string_view(path).substr(start, end - start);
    if (segment == "." || segment == "..") refuse("'.' or '..' in the path");
    start = end + 1;
  }
  return path;
}

}  // namespace

bool valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0 || i + length > text.size()) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3f);
    }
    constexpr uint32_t kMin[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kMin[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += length;
  }
  return true;
}

Target parse_target(std::string_view raw) {
  Target target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!raw.starts_with(scheme)) continue;
    raw.remove_prefix(scheme.size());
    const size_t end = std::min(raw.find_first_of("/?"), raw.size());
    target.authority = raw.substr(0, end);
    if (target.authority.empty()) refuse("the target names no host");
    raw.remove_prefix(end);
    break;
  }
  const size_t mark = raw.find('?');
  const std::string_view path = raw.substr(0, mark);
  target.path = parse_path(path.empty() && !target.authority.empty() ? "/" : path);
  if (mark == raw.npos) return target;
  for (std::string_view rest = raw.substr(mark + 1); !rest.empty();) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    if (target.query.size() == kMaxParameters) refuse("more than 100 parameters in the URL");
    const size_t equals = std::min(pair.find('='), pair.size());
    target.query.emplace_back(unescaped(pair.substr(0, equals), true),
                              unescaped(pair.substr(std::min(equals + 1, pair.size())), true));
  }
  return target;
}

}  // namespace inkstone::http
