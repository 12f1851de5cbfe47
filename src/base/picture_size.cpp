// The size of a picture by its header alone, without a decoder: a gateway, which must not die of a file, needs no more.
#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/exif.h"
#include "base/picture.h"
#include "base/picture_error.h"
#include "base/picture_exif.h"
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

// A client could send millions of them, which are walked one by one.
class PieceCount {
 public:
  void add() { INKSTONE_CHECK(++count_ <= kMost, "the file has more than ", kMost, " chunks"); }

 private:
  static constexpr int kMost = 1 << 16;
  int count_ = 0;
};

void take_exif(PictureHeader& found, std::string_view block) {
  if (found.exif.empty()) found.exif = block;
}

PictureHeader png_header(const Header& file) {
  constexpr size_t kFirst = 8, kAround = 12;  // before the chunks; length, kind and check of one
  INKSTONE_CHECK(file.part(kFirst + 4, 4) == "IHDR", "png: it does not begin with a header");
  PictureHeader found{PictureFormat::kPng, {file.big(16, 4), file.big(20, 4)}, {}};
  PieceCount chunks;
  for (size_t at = kFirst; file.has(at, kAround);) {
    chunks.add();
    const uint32_t length = file.big(at, 4);
    const std::string_view kind = file.part(at + 4, 4);
    if (kind == "IEND") break;
    if (kind == "eXIf") take_exif(found, file.part(at + 8, length));
    at += kAround + length;
  }
  return found;
}

// Segments of a marker, a length and data, up to the one that begins the pixels.
PictureHeader jpeg_header(const Header& file) {
  PictureHeader found{PictureFormat::kJpeg, {}, {}};
  PieceCount segments;
  for (size_t at = 2;;) {
    segments.add();
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
    const bool last = marker == 0xD9 || marker == 0xDA;
    INKSTONE_CHECK(length >= 2 && (!last || found.size.width > 0), "jpeg: there is no picture in it");
    if (last) return found;
    // SOF0 to SOF15, but for DHT, JPG and DAC
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
      found.size = {file.big(at + 7, 2), file.big(at + 5, 2)};
    const std::string_view data = file.part(at + 4, length - 2);
    if (marker == 0xE1 && data.starts_with("Exif")) take_exif(found, data);
    at += 2 + length;
  }
}

PictureHeader webp_header(const Header& file) {
  constexpr size_t kFirst = 12;
  const std::string_view kind = file.part(kFirst, 4);
  PictureHeader found{PictureFormat::kWebp, {}, {}};
  if (kind == "VP8X") {
    found.size = {file.little(24, 3) + 1, file.little(27, 3) + 1};
  } else if (kind == "VP8L") {
    const uint32_t bits = file.little(21, 4);
    found.size = {(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1};
  } else {
    INKSTONE_CHECK(kind == "VP8 ", "webp: malformed");
    found.size = {file.little(26, 2) & 0x3FFF, file.little(28, 2) & 0x3FFF};
  }
  constexpr uint32_t kExifFlag = 0x08;  // without it libwebp, too, finds none
  if (kind != "VP8X" || !(file.little(20, 1) & kExifFlag)) return found;
  PieceCount chunks;
  for (size_t at = kFirst; file.has(at, 8);) {
    chunks.add();
    const uint64_t length = file.little(at + 4, 4);
    if (file.part(at, 4) == "EXIF") take_exif(found, file.part(at + 8, length));
    at += 8 + length + length % 2;
  }
  return found;
}

}  // namespace

PictureHeader picture_header(std::string_view file) {
  const Header header(file);
  switch (picture_format(file)) {
    case PictureFormat::kPng: return png_header(header);
    case PictureFormat::kJpeg: return jpeg_header(header);
    case PictureFormat::kWebp: return webp_header(header);
  }
  fail<Error>(INKSTONE_HERE, {"a format without a header"});
}

std::string_view exif_block(std::span<const std::byte> file) { return picture_header(chars_of(file)).exif; }

PictureSize picture_size(std::span<const std::byte> file, const std::string& source) {
  try {
    const auto [format, size, exif] = picture_header(chars_of(file));
    constexpr const char* kNames[] = {"png", "jpeg", "webp"};  // by PictureFormat
    check_size(kNames[static_cast<size_t>(format)], size.width, size.height, {});
    if (is_transposed(Exif(exif).orientation())) return {size.height, size.width};
    return size;
  } catch (const Error& error) {
    fail<PictureError>(INKSTONE_HERE, {source, ": ", error.what()});
  }
}

}  // namespace inkstone
