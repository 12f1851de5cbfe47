// Pictures that people give: what an image file holds, and what is made of it before a model sees it.
// The arithmetic is Pillow's, to the last bit, because the pixels decide the latents.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/image.h"

namespace inkstone {

struct Picture {
  Image image;
  std::vector<uint8_t> alpha;  // a byte a pixel, 255: opaque; empty: all are
};

struct PictureLimits {
  int64_t max_pixels = int64_t{1} << 26;
  int max_side = 65500;
};

// A PNG, JPEG or WebP file, told by its first bytes; `source` is what errors call it. 16 bits become
// 8, greys and CMYK become RGB, of an animation the first frame is taken, and the picture is turned
// as its EXIF orientation says. Throws Error for another format, malformed or truncated data, and
// more pixels than the limits (known from the header, before memory is asked for).
Picture read_picture(std::span<const std::byte> file, const std::string& source, const PictureLimits& limits = {});

struct PictureSize {  // pixels
  int64_t width = 0, height = 0;
};
// The most that read_picture() takes besides the file, its result among it.
size_t decoding_bytes(const PictureSize& size);
// What read_picture() will give, by the file's header and EXIF alone; the rest may be malformed. Throws Error for another
// format, a header that is cut off, and more pixels than read_picture()'s usual limits.
PictureSize picture_size(std::span<const std::byte> file, const std::string& source);

// On one colour, where the picture is not opaque.
Image flatten(const Picture& picture, uint8_t background = 255);

struct Greys {  // 8 bits a pixel, row by row
  int width = 0, height = 0;
  std::vector<uint8_t> values;
};
// ITU-R 601-2: (19595 r + 38470 g + 7471 b) / 65536, rounded.
Greys luma(const Image& image);

// Box, Bilinear (a triangle), Bicubic (a = -0.5) and Lanczos (3 lobes), each widened where the picture
// becomes smaller, so that every pixel counts.
enum class Resampling { kBox, kBilinear, kBicubic, kLanczos };
// Sizes of at least 1.
Image resize(const Image& image, int width, int height, Resampling how = Resampling::kLanczos);
Greys resize(const Greys& greys, int width, int height, Resampling how = Resampling::kLanczos);
// What resize() takes besides the picture that it is given, of so many bytes a pixel: the result, and a picture that is
// resized along one axis.
size_t resizing_bytes(const PictureSize& from, const PictureSize& to, int channels);

}  // namespace inkstone
