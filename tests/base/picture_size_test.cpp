// A picture's size by its header is the size that its decoder gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/image_file.h"
#include "base/picture.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

Image grey(int width, int height) {
  return {width, height, std::vector<uint8_t>(3 * size_t(width) * size_t(height), 99)};
}

// An EXIF block in little endian with one entry, the orientation.
std::string exif(char orientation) {
  return std::string("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 24) + orientation + std::string(7, '\0');
}

std::string with_exif(const std::string& jpeg, char orientation) {
  const std::string block = exif(orientation);
  const auto length = static_cast<char>(block.size() + 2);
  return jpeg.substr(0, 2) + "\xFF\xE1" + '\0' + length + block + jpeg.substr(2);
}

std::string what_of(const std::string& file) {
  try {
    picture_size(bytes_of(file), "a.png");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(PictureSize, is_what_the_decoder_gives_of_every_format) {
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp})
    for (const int quality : {60, 100})
      for (const auto& [width, height] : {std::pair{1, 1}, {7, 300}, {513, 2}}) {
        const std::string file = image_file(grey(width, height), format, quality, quality == 60 ? "" : "a text");
        const PictureSize size = picture_size(bytes_of(file), "a");
        EXPECT_EQ(size.width, width) << format_name(format);
        EXPECT_EQ(size.height, height) << format_name(format);
      }
}

TEST(PictureSize, is_turned_as_the_picture_is) {
  const std::string jpeg = image_file(grey(30, 20), ImageFormat::kJpeg, 90, "");
  for (char orientation = 1; orientation <= 8; ++orientation) {
    const std::string file = with_exif(jpeg, orientation);
    const Image image = read_picture(bytes_of(file), "a").image;
    const PictureSize size = picture_size(bytes_of(file), "a");
    EXPECT_EQ(size.width, image.width) << int(orientation);
    EXPECT_EQ(size.height, image.height) << int(orientation);
    EXPECT_EQ(size.width, orientation < 5 ? 30 : 20);
  }
}

// ---- Where EXIF may stand

std::string png_chunk(const std::string& kind, const std::string& data) {
  std::string chunk;
  for (const int shift : {24, 16, 8, 0}) chunk += static_cast<char>(data.size() >> shift & 0xFF);
  return chunk + kind + data + "sum?";  // of chunks that libpng does not see
}

// Of another file, `chunk` is put before the first `before`, or behind everything.
std::string with_chunk(const std::string& file, const std::string& before, const std::string& chunk) {
  const size_t name = file.find(before);
  return before.empty() ? file + chunk : file.substr(0, name - 4) + chunk + file.substr(name - 4);
}

std::string jpeg_segment(char marker, const std::string& data) {
  const size_t length = data.size() + 2;
  return std::string{'\xFF', marker, static_cast<char>(length >> 8), static_cast<char>(length & 0xFF)} + data;
}

// Before the first segment of that marker.
std::string with_segment(const std::string& jpeg, const std::string& before, const std::string& segment) {
  return std::string(jpeg).insert(jpeg.find(before), segment);
}

std::string webp_chunk(const std::string& kind, const std::string& data) {
  std::string chunk = kind;
  for (const int shift : {0, 8, 16, 24}) chunk += static_cast<char>(data.size() >> shift & 0xFF);
  return chunk + data + std::string(data.size() % 2, '\0');
}

// An extended WebP of a simple one, whose flags say that there is EXIF, or not.
std::string extended_webp(const std::string& webp, const Image& image, bool says_exif, const std::string& chunks) {
  const std::string sides{static_cast<char>(image.width - 1), 0, 0, static_cast<char>(image.height - 1), 0, 0};
  const std::string flags{static_cast<char>(says_exif ? 0x08 : 0), 0, 0, 0};
  const std::string content = "WEBP" + webp_chunk("VP8X", flags + sides) + webp.substr(12) + chunks;
  return webp_chunk("RIFF", content);
}

struct Placed {
  const char* what;
  std::string file;
  bool turned;
};

std::vector<Placed> exif_at_every_place() {
  const Image image = grey(30, 20);
  const std::string png = image_file(image, ImageFormat::kPng, 90, "");
  const std::string jpeg = image_file(image, ImageFormat::kJpeg, 90, ""),
                    webp = image_file(image, ImageFormat::kWebp, 90, "");
  const std::string right = exif(6), upright = exif(1);
  const std::string png_right = png_chunk("eXIf", right.substr(6)), png_upright = png_chunk("eXIf", upright.substr(6));
  const std::string app1 = jpeg_segment('\xE1', right), xmp = jpeg_segment('\xE1', "http://ns.adobe.com/xap/1.0/");
  const std::string start_of_frame = "\xFF\xC0", start_of_scan = "\xFF\xDA";
  return {
      {"png, before the pixels", with_chunk(png, "IDAT", png_right), true},
      {"png, with the beginning that PNG leaves out", with_chunk(png, "IDAT", png_chunk("eXIf", right)), true},
      {"png, behind the pixels", with_chunk(png, "IEND", png_right), true},
      {"png, behind the end", with_chunk(png, "", png_right), false},
      {"png, of two the first", with_chunk(with_chunk(png, "IEND", png_upright), "IDAT", png_right), true},
      {"png, of two the first, which does not turn",
       with_chunk(with_chunk(png, "IEND", png_right), "IDAT", png_upright), false},
      {"jpeg, before the frame", with_segment(jpeg, start_of_frame, app1), true},
      {"jpeg, behind the frame", with_segment(jpeg, start_of_scan, app1), true},
      {"jpeg, behind XMP", with_segment(jpeg, start_of_frame, xmp + app1), true},
      {"jpeg, behind the pixels", jpeg.substr(0, jpeg.size() - 2) + app1 + jpeg.substr(jpeg.size() - 2), false},
      {"jpeg, of two the first", with_segment(jpeg, start_of_scan, app1 + jpeg_segment('\xE1', upright)), true},
      {"webp, behind the pixels", extended_webp(webp, image, true, webp_chunk("EXIF", right)), true},
      {"webp, of two the first",
       extended_webp(webp, image, true, webp_chunk("EXIF", right) + webp_chunk("EXIF", upright)), true},
      {"webp, of two the first, which does not turn",
       extended_webp(webp, image, true, webp_chunk("EXIF", upright) + webp_chunk("EXIF", right)), false},
      {"webp, that says it has none", extended_webp(webp, image, false, webp_chunk("EXIF", right)), false},
  };
}

TEST(PictureSize, is_what_the_decoder_gives_wherever_exif_stands) {
  for (const Placed& placed : exif_at_every_place()) {
    SCOPED_TRACE(placed.what);
    const Image image = read_picture(bytes_of(placed.file), placed.what).image;
    const PictureSize size = picture_size(bytes_of(placed.file), placed.what);
    EXPECT_EQ(size.width, image.width);
    EXPECT_EQ(size.height, image.height);
    EXPECT_EQ(image.width, placed.turned ? 20 : 30);
  }
}

TEST(PictureSize, refuses_what_the_decoder_would) {
  std::string file = image_file(grey(9, 8), ImageFormat::kPng, 90, "");
  constexpr size_t kSides = 16;  // of the header: two numbers of four bytes
  file.replace(kSides, 8, std::string("\0\0\xEA\x60\0\0\xEA\x60", 8));
  EXPECT_THAT(what_of(file), HasSubstr("png: 60000x60000 pixels; at most 67108864"));
}

TEST(PictureSize, refuses_what_has_no_header) {
  EXPECT_THAT(what_of("GIF89a........"), HasSubstr("a.png: it is a GIF file"));
  EXPECT_THAT(what_of("hello"), HasSubstr("neither PNG, JPEG nor WebP (5 bytes)"));
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp}) {
    const std::string file = image_file(grey(9, 8), format, 90, "");
    for (size_t length = 12; length < 20; ++length) EXPECT_NE(what_of(file.substr(0, length)), "") << length;
  }
  EXPECT_THAT(what_of("\xFF\xD8\xFF\xD9" + std::string(20, '\0')), HasSubstr("jpeg"));
}

}  // namespace
}  // namespace inkstone
