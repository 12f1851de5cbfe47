#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

}  // namespace

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0u; };
  const uint32_t first = byte(at++);
  if (first < 0x80) return first;
  int more = 0;
  // of the second byte: no overlong forms, no surrogates, at most U+10FFFF
  uint32_t min = 0x80, max = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    more = 1;
  } else if (first >= 0xE0 && first <= 0xEF) {
    more = 2;
    if (first == 0xE0) min = 0xA0;
    if (first == 0xED) max = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    more = 3;
    if (first == 0xF0) min = 0x90;
    if (first == 0xF4) max = 0x8F;
  } else {
    return kReplacement;
  }
  char32_t code = first & (0x3Fu >> more);
  for (; more > 0; --more, min = 0x80, max = 0xBF) {
    const uint32_t next = byte(at);
    if (next < min || next > max) return kReplacement;
    code = (code << 6) | (next & 0x3F);
    ++at;
  }
  return code;
}

void append_utf8(std::string& text, char32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
  } else {
    if (code < 0x10000) {
      text += static_cast<char>(0xE0 | (code >> 12));
    } else {
      text += static_cast<char>(0xF0 | (code >> 18));
      text += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    }
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
  }
  text += static_cast<char>(0x80 | (code & 0x3F));
}

std::string clean_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t code = next_code_point(text, at);
    append_utf8(result, code == 0 ? kReplacement : code);
  }
  return result;
}

std::string one_line(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  return result;
}

std::string shown(std::string_view text) {
  constexpr size_t kMax = 120;
  const bool cut = text.size() > kMax;
  if (cut) text = text.substr(0, kMax - 3);
  while (cut && !text.empty() && (text.back() & 0xc0) == 0x80) text.remove_suffix(1);  // inside a UTF-8 character
  if (cut && !text.empty() && (text.back() & 0x80)) text.remove_suffix(1);
  std::string line(text);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return cut ? line + "..." : line;
}

}  // namespace inkstone
