// The formats that read_picture() knows, for base/ alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/picture.h"

namespace inkstone {

// As the file has it, and the EXIF block that says how it is to be turned.
struct StoredPicture {
  Picture picture;
  std::vector<std::byte> exif;
};

// They throw Error that begins with the format's name.
StoredPicture read_png(std::span<const std::byte> file, const PictureLimits& limits);
StoredPicture read_jpeg(std::span<const std::byte> file, const PictureLimits& limits);
StoredPicture read_webp(std::span<const std::byte> file, const PictureLimits& limits);

void check_size(const char* format, int64_t width, int64_t height, const PictureLimits& limits);
// Takes the colours and the alpha of `pixels` pixels apart; no alpha where all are opaque.
Picture picture_of_rgba(int width, int height, const uint8_t* rgba);

}  // namespace inkstone
