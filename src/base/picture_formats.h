// The formats that read_picture() knows, for base/ alone.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/picture.h"

namespace inkstone {

enum class PictureFormat { kPng, kJpeg, kWebp };
// By the first bytes; throws Error that says what it is instead, where these tell.
PictureFormat picture_format(std::string_view file);
// Of an EXIF block, 1 to 8; 1 where it says nothing that can be.
int orientation_of(std::string_view exif);
bool is_transposed(int orientation);  // width and height change places

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
