// The formats that read_picture() knows, for base/ alone.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/picture.h"

namespace inkstone {

inline std::string_view chars_of(std::span<const std::byte> file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

enum class PictureFormat { kPng, kJpeg, kWebp };
// By the first bytes; throws Error that says what it is instead, where these tell.
PictureFormat picture_format(std::string_view file);

// What a file says before its pixels. Of several EXIF blocks the first counts, of a PNG also one that stands
// behind the pixels.
struct PictureHeader {
  PictureFormat format = PictureFormat::kPng;
  PictureSize size;       // as stored, not turned
  std::string_view exif;  // in the file; empty: there is none
};
// Throws Error for another format and a header that is cut off.
PictureHeader picture_header(std::string_view file);
bool is_transposed(int orientation);  // of Exif::orientation(): width and height change places

// As the file has it, not turned. They throw Error that begins with the format's name.
Picture read_png(std::span<const std::byte> file, const PictureLimits& limits);
Picture read_jpeg(std::span<const std::byte> file, const PictureLimits& limits);
Picture read_webp(std::span<const std::byte> file, const PictureLimits& limits);

void check_size(const char* format, int64_t width, int64_t height, const PictureLimits& limits);
// Takes the colours and the alpha of `pixels` pixels apart; no alpha where all are opaque.
Picture picture_of_rgba(int width, int height, const uint8_t* rgba);

}  // namespace inkstone
