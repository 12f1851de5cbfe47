// EXIF is a TIFF file: "MM" or "II" for its byte order, 42, the place of a folder. A folder is the number of its
// entries, then of each tag (2), type (2), count (4), and value or its place (4).
#include "serve/api/exif_text.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/utf8.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxText = 1 << 20, kEntry = 12, kCode = 8;
constexpr uint32_t kExifFolder = 0x8769, kUserComment = 0x9286;

class Block {
 public:
  explicit Block(std::string_view bytes) : bytes_(bytes), big_(bytes.starts_with("MM")) {}

  // 0 beyond the end.
  uint32_t number(size_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes_[at + (big_ ? i : size - 1 - i)]);
    return value;
  }
  // Where the entry of that tag begins, of the folder at a place.
  std::optional<size_t> entry(size_t folder, uint32_t tag) const {
    const size_t count = number(folder, 2);
    for (size_t i = 0; i < count; ++i)
      if (const size_t at = folder + 2 + kEntry * i; number(at, 2) == tag) return at;
    return std::nullopt;
  }
  std::string_view bytes(size_t at, size_t size) const {
    return at < bytes_.size() ? bytes_.substr(at, size) : std::string_view();
  }

 private:
  std::string_view bytes_;
  bool big_;
};

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
  const Block block(exif);
  if (!exif.starts_with("MM") && !exif.starts_with("II")) return "";
  const auto folder = block.entry(block.number(4, 4), kExifFolder);
  const auto comment = folder ? block.entry(block.number(*folder + 8, 4), kUserComment) : std::nullopt;
  if (!comment) return "";
  const std::string_view text =
      block.bytes(block.number(*comment + 8, 4), std::min<size_t>(block.number(*comment + 4, 4), kMaxText));
  const std::string_view code = text.substr(0, kCode), rest = text.substr(code.size());
  if (code == std::string_view("UNICODE\0", kCode)) return clean_utf8(of_utf16(rest));
  std::string plain = clean_utf8(rest.substr(0, rest.find('\0')));
  return code == std::string_view("ASCII\0\0\0", kCode) || code == std::string_view("\0\0\0\0\0\0\0\0", kCode) ? plain
                                                                                                               : "";
}

}  // namespace inkstone::serve
