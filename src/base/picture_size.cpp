// The size of a picture by its header alone, without a decoder: a gateway, which must not die of a file, needs no more.
#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/picture.h"
#include "base/picture_formats.h"

namespace inkstone {
namespace {

// Bytes of a file; what is beyond its end is an Error.
class Header {
 public:
  explicit Header(std::string_view bytes) : bytes_(bytes) {}
  uint32_t big(size_t at, size_t size) const {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | byte(at + i);
    return value;
  }
  uint32_t little(size_t at, size_t size) const {
    uint32_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | byte(at + i);
    return value;
  }
  bool has(size_t at, size_t size) const { return at <= bytes_.size() && bytes_.size() - at >= size; }
  std::string_view part(size_t at, size_t size) const {
    return has(at, 0) ? bytes_.substr(at, size) : std::string_view();
  }

 private:
  uint8_t byte(size_t at) const {
    INKSTONE_CHECK(has(at, 1), "the header is cut off (", bytes_.size(), " bytes)");
    return static_cast<uint8_t>(bytes_[at]);
  }
  std::string_view bytes_;
};

struct Found {
  PictureSize size;
  std::string_view exif;
};

Found png_size(const Header& file) {
  constexpr size_t kFirst = 8, kAround = 12;  // before the chunks; length, kind and check of one
  INKSTONE_CHECK(file.part(kFirst + 4, 4) == "IHDR", "png: it does not begin with a header");
  Found found{{file.big(16, 4), file.big(20, 4)}, {}};
  for (size_t at = kFirst; file.has(at, kAround);) {
    const uint32_t length = file.big(at, 4);
    if (file.part(at + 4, 4) == "eXIf") found.exif = file.part(at + 8, length);
    at += kAround + length;
  }
  return found;
}

// Segments of a marker, a length and data, up to the one that begins the picture.
Found jpeg_size(const Header& file) {
  Found found{};
  for (size_t at = 2;;) {
    INKSTONE_CHECK(file.big(at, 1) == 0xFF, "jpeg: malformed at byte ", at);
    const uint32_t marker = file.big(at + 1, 1);
    if (marker == 0xFF) {  // padding
      ++at;
      continue;
    }
    const bool alone = marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    if (alone) {
      at += 2;
      continue;
    }
    const uint32_t length = file.big(at + 2, 2);
    INKSTONE_CHECK(length >= 2 && marker != 0xD9 && marker != 0xDA, "jpeg: there is no picture in it");
    // SOF0 to SOF15, but for DHT, JPG and DAC
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      found.size = {file.big(at + 7, 2), file.big(at + 5, 2)};
      return found;
    }
    const std::string_view data = file.part(at + 4, length - 2);
    if (marker == 0xE1 && found.exif.empty() && data.starts_with("Exif")) found.exif = data;
    at += 2 + length;
  }
}

Found webp_size(const Header& file) {
  constexpr size_t kFirst = 12;
  const std::string_view kind = file.part(kFirst, 4);
  Found found{};
  if (kind == "VP8X") {
    found.size = {file.little(24, 3) + 1, file.little(27, 3) + 1};
  } else if (kind == "VP8L") {
    const uint32_t bits = file.little(21, 4);
    found.size = {(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1};
  } else {
    INKSTONE_CHECK(kind == "VP8 ", "webp: malformed");
    found.size = {file.little(26, 2) & 0x3FFF, file.little(28, 2) & 0x3FFF};
  }
  for (size_t at = kFirst; file.has(at, 8);) {
    const uint64_t length = file.little(at + 4, 4);
    if (file.part(at, 4) == "EXIF") found.exif = file.part(at + 8, length);
    at += 8 + length + length % 2;
  }
  return found;
}

Found find_size(std::string_view file) {
  const Header header(file);
  switch (picture_format(file)) {
    case PictureFormat::kPng: return png_size(header);
    case PictureFormat::kJpeg: return jpeg_size(header);
    case PictureFormat::kWebp: return webp_size(header);
  }
  fail<Error>(INKSTONE_HERE, {"a format without a header"});
}

}  // namespace

PictureSize picture_size(std::span<const std::byte> file, const std::string& source) {
  try {
    Found found = find_size({reinterpret_cast<const char*>(file.data()), file.size()});
    INKSTONE_CHECK(found.size.width > 0 && found.size.height > 0, "a size of ", found.size.width, "x",
                   found.size.height);
    if (is_transposed(orientation_of(found.exif))) std::swap(found.size.width, found.size.height);
    return found.size;
  } catch (const Error& error) {
    fail<Error>(INKSTONE_HERE, {source, ": ", error.what()});
  }
}

}  // namespace inkstone
