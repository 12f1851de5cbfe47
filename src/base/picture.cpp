#include "base/picture.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/exif.h"
#include "base/picture_error.h"
#include "base/picture_formats.h"

namespace inkstone {
namespace {

// What the file is instead, where its first bytes tell.
std::string_view other_format(std::string_view file) {
  using namespace std::string_view_literals;  // which may hold zeros
  constexpr struct {
    std::string_view begin;
    size_t at;
    const char* name;
  } kOthers[] = {
      {"GIF8", 0, "GIF"},      {"BM", 0, "BMP"},           {"II*\0"sv, 0, "TIFF"},           {"MM\0*"sv, 0, "TIFF"},
      {"ftypavif", 4, "AVIF"}, {"ftypheic", 4, "HEIC"},    {"ftypmif1", 4, "HEIF"},          {"%PDF", 0, "PDF"},
      {"<svg", 0, "SVG"},      {"\xFF\x0A", 0, "JPEG XL"}, {"\0\0\0\x0CJXL"sv, 0, "JPEG XL"}};
  for (const auto& other : kOthers)
    if (file.size() >= other.at && file.substr(other.at).starts_with(other.begin)) return other.name;
  return {};
}

// Where the pixel (x, y) of the turned picture was.
struct Turn {
  bool transposed, from_right, from_bottom;
};
Turn turn_of(int orientation) {
  constexpr Turn kTurns[] = {{false, false, false}, {false, true, false}, {false, true, true}, {false, false, true},
                             {true, false, false},  {true, false, true},  {true, true, true},  {true, true, false}};
  return kTurns[orientation - 1];
}

std::vector<uint8_t> turned(const std::vector<uint8_t>& from, int width, int height, size_t channels,
                            const Turn& turn) {
  std::vector<uint8_t> result;
  result.reserve(from.size());
  const int rows = turn.transposed ? width : height, columns = turn.transposed ? height : width;
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      int at_x = turn.transposed ? y : x, at_y = turn.transposed ? x : y;
      if (turn.from_right) at_x = width - 1 - at_x;
      if (turn.from_bottom) at_y = height - 1 - at_y;
      const size_t at = (static_cast<size_t>(at_y) * static_cast<size_t>(width) + static_cast<size_t>(at_x)) * channels;
      for (size_t c = 0; c < channels; ++c) result.push_back(from[at + c]);
    }
  }
  return result;
}

Picture turned(Picture picture, int orientation) {
  if (orientation == 1) return picture;
  const Turn turn = turn_of(orientation);
  Image& image = picture.image;
  image.rgb = turned(image.rgb, image.width, image.height, 3, turn);
  if (!picture.alpha.empty()) picture.alpha = turned(picture.alpha, image.width, image.height, 1, turn);
  if (turn.transposed) std::swap(image.width, image.height);
  return picture;
}

Picture read_stored(PictureFormat format, std::span<const std::byte> file, const PictureLimits& limits) {
  switch (format) {
    case PictureFormat::kPng: return read_png(file, limits);
    case PictureFormat::kJpeg: return read_jpeg(file, limits);
    case PictureFormat::kWebp: return read_webp(file, limits);
  }
  fail<Error>(INKSTONE_HERE, {"a format without a reader"});
}

// Of v1 over v2, for 8-bit values: rounded v / 255.
uint8_t over_255(uint32_t value) {
  value += 128;
  return static_cast<uint8_t>(((value >> 8) + value) >> 8);
}

}  // namespace

PictureFormat picture_format(std::string_view file) {
  if (file.starts_with("\x89PNG\r\n\x1A\n")) return PictureFormat::kPng;
  if (file.starts_with("\xFF\xD8\xFF")) return PictureFormat::kJpeg;
  if (file.starts_with("RIFF") && file.substr(0, 12).ends_with("WEBP")) return PictureFormat::kWebp;
  const std::string_view other = other_format(file);
  INKSTONE_CHECK(other.empty(), "it is a ", other, " file; pictures are read from PNG, JPEG and WebP: convert it");
  fail<Error>(INKSTONE_HERE, {"it is neither PNG, JPEG nor WebP (", file.size(), " bytes)"});
}

bool is_transposed(int orientation) { return turn_of(orientation).transposed; }

void check_size(const char* format, int64_t width, int64_t height, const PictureLimits& limits) {
  INKSTONE_CHECK(width > 0 && height > 0, format, ": a size of ", width, "x", height);
  INKSTONE_CHECK(width <= limits.max_side && height <= limits.max_side && width * height <= limits.max_pixels, format,
                 ": ", width, "x", height, " pixels; at most ", limits.max_pixels, ", and ", limits.max_side,
                 " a side");
}

Picture picture_of_rgba(int width, int height, const uint8_t* rgba) {
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  Picture result{{width, height, std::vector<uint8_t>(3 * pixels)}, {}};
  bool opaque = true;
  for (size_t i = 0; i < pixels; ++i) {
    std::copy_n(rgba + 4 * i, 3, result.image.rgb.data() + 3 * i);
    opaque = opaque && rgba[4 * i + 3] == 255;
  }
  if (opaque) return result;
  result.alpha.resize(pixels);
  for (size_t i = 0; i < pixels; ++i) result.alpha[i] = rgba[4 * i + 3];
  return result;
}

Picture read_picture(std::span<const std::byte> file, const std::string& source, const PictureLimits& limits) {
  try {
    const auto [format, size, exif] = picture_header(chars_of(file));
    Picture stored = read_stored(format, file, limits);
    INKSTONE_CHECK(stored.image.width == size.width && stored.image.height == size.height, "the header says ",
                   size.width, "x", size.height, ", and the pixels are ", stored.image.width, "x", stored.image.height);
    return turned(std::move(stored), Exif(exif).orientation());
  } catch (const Error& error) {
    fail<PictureError>(INKSTONE_HERE, {source, ": ", error.what()});
  }
}

size_t decoding_bytes(const PictureSize& size) {
  // of a progressive JPEG in inks: its pixels (4), and its coefficients (8); no other takes more
  constexpr size_t kOfPixel = 12, kOthers = 1 << 20;
  return kOfPixel * static_cast<size_t>(size.width) * static_cast<size_t>(size.height) + kOthers;
}

Image flatten(const Picture& picture, uint8_t background) {
  Image result = picture.image;
  for (size_t i = 0; i < picture.alpha.size(); ++i) {
    const uint32_t alpha = picture.alpha[i];
    for (size_t at = 3 * i; at < 3 * i + 3; ++at)
      result.rgb[at] = over_255(background * (255 - alpha) + result.rgb[at] * alpha);
  }
  return result;
}

Greys luma(const Image& image) {
  constexpr uint32_t kRed = 19595, kGreen = 38470, kBlue = 7471, kHalf = 0x8000;
  Greys result{image.width, image.height, {}};
  result.values.reserve(image.rgb.size() / 3);
  for (size_t at = 0; at + 3 <= image.rgb.size(); at += 3)
    result.values.push_back(static_cast<uint8_t>(
        (image.rgb[at] * kRed + image.rgb[at + 1] * kGreen + image.rgb[at + 2] * kBlue + kHalf) >> 16));
  return result;
}

Picture read_png(std::span<const std::byte> file, const PictureLimits& limits) {
  const RgbaPng png = decode_png_with_alpha(file, limits.max_pixels);
  check_size("png", png.width, png.height, limits);
  return picture_of_rgba(png.width, png.height, png.rgba.data());
}

}  // namespace inkstone
