// Images as PNG, JPEG and WebP files, with the generation parameters inside.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/image.h"

namespace inkstone {

enum class ImageFormat { kPng, kJpeg, kWebp };

// Of PNG's text that holds the parameters.
inline constexpr const char* kParametersKeyword = "parameters";
// Of JPEG and WebP, where nobody says another.
inline constexpr int kImageQuality = 95;

// Deterministic bytes. `parameters` becomes PNG's text "parameters" or JPEG's and WebP's EXIF user
// comment, as AUTOMATIC1111 writes it; too long for EXIF (64 KiB) it is left out. Quality 1 to 100,
// of JPEG and WebP; WebP of 100 is lossless. `alpha`: a byte a pixel, of PNG and WebP; JPEG has none.
std::string image_file(const Image& image, ImageFormat format, int quality, const std::string& parameters,
                       std::span<const uint8_t> alpha = {});

// Throws UsageError where the format has no sides of so many pixels.
void check_sides(ImageFormat format, int64_t width, int64_t height);

// The most that image_file() takes besides the image, of JPEG and WebP with the quality above: the file, and what the
// encoder holds.
size_t encoding_bytes(ImageFormat format, int width, int height, bool alpha);

std::string_view format_name(ImageFormat format);  // "png", "jpeg", "webp"
std::string_view media_type(ImageFormat format);   // "image/png"

}  // namespace inkstone
