#include "serve/api/exif_text.h"

#include <cstdint>

#include "base/exif.h"
#include "base/utf8.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxText = 1 << 20, kCode = 8;

// Writers use big-endian, whatever the block's order; a text of another order has its zeros at odd places.
std::string of_utf16(std::string_view text) {
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < text.size(); ++i) zeros[i % 2] += text[i] == '\0';
  const size_t high = zeros[0] >= zeros[1] ? 0 : 1;
  const auto unit = [&](size_t at) -> char32_t {
    return static_cast<char32_t>(static_cast<uint8_t>(text[at + high]) << 8 |
                                 static_cast<uint8_t>(text[at + 1 - high]));
  };
  std::string result;
  for (size_t at = 0; at + 1 < text.size(); at += 2) {
    char32_t code = unit(at);
    if (code >= 0xD800 && code < 0xDC00 && at + 3 < text.size() && (unit(at + 2) & 0xFC00) == 0xDC00) {
      code = 0x10000 + ((code - 0xD800) << 10) + (unit(at + 2) - 0xDC00);
      at += 2;
    }
    append_utf8(result, code >= 0xD800 && code < 0xE000 ? U'\uFFFD' : code);
  }
  return result;
}

}  // namespace

std::string exif_user_comment(std::string_view exif) {
  const std::string_view text = Exif(exif).user_comment().substr(0, kMaxText);
  const std::string_view code = text.substr(0, kCode), rest = text.substr(code.size());
  if (code == std::string_view("UNICODE\0", kCode)) return clean_utf8(of_utf16(rest));
  std::string plain = clean_utf8(rest.substr(0, rest.find('\0')));
  return code == std::string_view("ASCII\0\0\0", kCode) || code == std::string_view("\0\0\0\0\0\0\0\0", kCode) ? plain
                                                                                                               : "";
}

}  // namespace inkstone::serve
