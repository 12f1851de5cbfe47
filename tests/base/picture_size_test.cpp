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
