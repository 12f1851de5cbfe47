// 8-bit RGB images, and PNG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkstone {

struct Image {
  int width = 0, height = 0;
  // row by row, 3 bytes a pixel
  std::vector<uint8_t> rgb;
};

using TextChunks = std::vector<std::pair<std::string, std::string>>;  // keyword, UTF-8 text

// A text becomes a tEXt chunk if it is Latin-1, else an iTXt chunk (as Pillow does). Deterministic
// bytes. Keywords are 1 to 79 printable ASCII characters; NUL and invalid UTF-8, which PNG texts
// cannot hold, become U+FFFD. `alpha`: a byte a pixel, 255 is opaque; none: all are.
std::vector<std::byte> encode_png(const Image& image, const TextChunks& texts = {},
                                  std::span<const uint8_t> alpha = {});

// The most that such a file takes, without its texts.
size_t png_bytes(int width, int height, bool alpha);

// Row by row, 4 bytes a pixel: the image with its alpha.
std::vector<uint8_t> rgba_of(const Image& image, std::span<const uint8_t> alpha);

struct DecodedPng {
  Image image;
  TextChunks texts;
};
// Any PNG becomes 8-bit RGB; alpha is dropped. Throws Error for malformed data, a text over 1 MiB
// (as stored or unpacked), or more than max_pixels (known from the header, before memory is asked
// for).
DecodedPng decode_png(std::span<const std::byte> png, int64_t max_pixels = int64_t{1} << 26);

struct RgbaPng {
  int width = 0, height = 0;
  std::vector<uint8_t> rgba;  // row by row, 4 bytes a pixel, alpha as stored
};
// The same with the alpha that is stored, 255 where none is.
RgbaPng decode_png_with_alpha(std::span<const std::byte> png, int64_t max_pixels = int64_t{1} << 26);

// In dB over all channels; infinity if equal. Throws if sizes differ.
double psnr(const Image& a, const Image& b);

}  // namespace inkstone
