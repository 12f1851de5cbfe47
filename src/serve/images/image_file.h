// Images as PNG, JPEG and WebP files, with the generation parameters inside.
#pragma once

#include <string>
#include <string_view>

#include "base/image.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

// Deterministic bytes. `parameters` becomes PNG's text "parameters" or JPEG's and WebP's EXIF user
// comment, as AUTOMATIC1111 writes it; too long for EXIF (64 KiB) it is left out. Quality 1 to 100,
// of JPEG and WebP; WebP of 100 is lossless.
std::string image_file(const Image& image, ImageFormat format, int quality, const std::string& parameters);

// A preview at its image's size, by repeating pixels: quick (about 1 ms for 512x512) where
// encode_png is not. Sizes that are no multiple of the image's are refused.
std::string enlarged_png(const Image& image, int width, int height);

std::string_view format_name(ImageFormat format);  // "png", "jpeg", "webp"
std::string_view media_type(ImageFormat format);   // "image/png"

}  // namespace inkstone::serve
