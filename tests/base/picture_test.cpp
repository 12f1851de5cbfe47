// Pillow's resizing and reading of files, to the last bit, and files that are not what they say.
#include "base/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/image_file.h"
#include "base/json.h"

namespace inkstone {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

const std::string kFixtures = INKSTONE_SOURCE_DIR "/tests/fixtures/pictures";

// base knows no safetensors: of this one file the header is a plain JSON of U8 tensors.
class Goldens {
 public:
  Goldens() {
    std::ifstream file(kFixtures + ".safetensors", std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), sizeof length);
    header_ = parse_json(bytes_.substr(8, length), "pictures.safetensors");
    data_ = 8 + length;
  }
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<uint8_t> values;
  };
  Tensor operator[](const std::string& name) const {
    const JsonObject& entry = header_.as_object().at(name).as_object();
    const auto& offsets = entry.at("data_offsets").as_array();
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(data_);
    Tensor result;
    for (const Json& side : entry.at("shape").as_array()) result.shape.push_back(side.to_number<int64_t>());
    result.values.assign(begin + offsets[0].to_number<int64_t>(), begin + offsets[1].to_number<int64_t>());
    return result;
  }

 private:
  std::string bytes_;
  Json header_;
  size_t data_ = 0;
};

const Goldens& goldens() {
  static const Goldens loaded;
  return loaded;
}
const Json& cases() {
  static const Json loaded = [] {
    std::ifstream file(kFixtures + ".json");
    return parse_json(std::string(std::istreambuf_iterator<char>(file), {}), "pictures.json");
  }();
  return loaded;
}

Image image_of(const Goldens::Tensor& tensor) {
  return {static_cast<int>(tensor.shape[1]), static_cast<int>(tensor.shape[0]), tensor.values};
}
Bytes bytes_of(std::string_view text) {
  const auto* from = reinterpret_cast<const std::byte*>(text.data());
  return {from, from + text.size()};
}
Bytes file_of(const std::string& name) {
  const Goldens::Tensor tensor = goldens()["file/" + name];
  return bytes_of({reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size()});
}
std::string fault_of(std::span<const std::byte> file, const PictureLimits& limits = {}) {
  try {
    read_picture(file, "fox.png", limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
Resampling filter_of(std::string_view name) {
  if (name == "box") return Resampling::kBox;
  if (name == "bilinear") return Resampling::kBilinear;
  return name == "bicubic" ? Resampling::kBicubic : Resampling::kLanczos;
}

TEST(Resize, is_pillows) {
  ASSERT_FALSE(cases().at("resized").as_array().empty());
  for (const Json& entry : cases().at("resized").as_array()) {
    const std::string name(entry.at("tensor").as_string());
    const Goldens::Tensor source = goldens()[std::string(entry.at("source").as_string())];
    const int width = entry.at("width").to_number<int>(), height = entry.at("height").to_number<int>();
    const Resampling how = filter_of(entry.at("filter").as_string());
    const std::vector<uint8_t> expected = goldens()[name].values;
    if (source.shape.size() == 3) {
      EXPECT_EQ(resize(image_of(source), width, height, how).rgb, expected) << name;
    } else {
      const Greys greys{static_cast<int>(source.shape[1]), static_cast<int>(source.shape[0]), source.values};
      EXPECT_EQ(resize(greys, width, height, how).values, expected) << name;
    }
  }
}

TEST(Resize, luma_is_pillows) { EXPECT_EQ(luma(image_of(goldens()["colour"])).values, goldens()["luma"].values); }

TEST(Picture, is_read_as_pillow_reads_it) {
  ASSERT_FALSE(cases().at("read").as_array().empty());
  for (const Json& entry : cases().at("read").as_array()) {
    const std::string name(entry.at("file").as_string());
    const Picture picture = read_picture(file_of(name), name);
    const Goldens::Tensor expected = goldens()["read/" + name];
    ASSERT_EQ(picture.image.height, expected.shape[0]) << name;
    ASSERT_EQ(picture.image.width, expected.shape[1]) << name;
    ASSERT_EQ(picture.alpha.empty(), !entry.at("alpha").as_bool()) << name;
    const size_t channels = static_cast<size_t>(expected.shape[2]);
    std::vector<uint8_t> got;
    for (size_t i = 0; i < picture.image.rgb.size() / 3; ++i) {
      got.insert(got.end(), picture.image.rgb.begin() + static_cast<std::ptrdiff_t>(3 * i),
                 picture.image.rgb.begin() + static_cast<std::ptrdiff_t>(3 * i + 3));
      if (channels == 4) got.push_back(picture.alpha[i]);
    }
    EXPECT_EQ(got, expected.values) << name;
    if (channels == 3) continue;
    EXPECT_EQ(flatten(picture).rgb, goldens()["flat/" + name].values) << name;
  }
}

TEST(Picture, other_formats_are_named) {
  EXPECT_THAT(fault_of(bytes_of("GIF89a...")), HasSubstr("fox.png: it is a GIF file"));
  EXPECT_THAT(fault_of(bytes_of("hello")), HasSubstr("neither PNG, JPEG nor WebP (5 bytes)"));
  EXPECT_THAT(fault_of({}), HasSubstr("(0 bytes)"));
}

TEST(Picture, every_cut_file_is_refused) {
  for (const char* name : {"progressive.jpg", "grey.jpg", "lossy.webp", "alpha.webp", "animated.webp", "alpha.png"}) {
    const Bytes file = file_of(name);
    for (size_t part = 1; part < 20; ++part) {
      const std::span<const std::byte> cut = std::span(file).first(file.size() * part / 20);
      EXPECT_NE(fault_of(cut), "") << name << ", " << cut.size() << " of " << file.size() << " bytes";
    }
  }
}

// The size in the header counts, before any memory is asked for.
TEST(Picture, sizes_are_limited_by_the_header) {
  Bytes jpeg = file_of("grey.jpg");
  for (size_t at = 0; at + 9 < jpeg.size(); ++at) {
    if (jpeg[at] != std::byte{0xFF} || jpeg[at + 1] != std::byte{0xC0}) continue;
    for (size_t i = 5; i < 9; ++i) jpeg[at + i] = std::byte{0x70};
    break;
  }
  EXPECT_THAT(fault_of(jpeg), HasSubstr("28784x28784 pixels; at most 67108864"));
  EXPECT_THAT(fault_of(file_of("alpha.webp"), {.max_pixels = 23 * 14 - 1}), HasSubstr("23x14 pixels"));
  EXPECT_THAT(fault_of(file_of("alpha.png"), {.max_pixels = 23 * 14 - 1}), HasSubstr("23x14 pixels"));
  EXPECT_EQ(fault_of(file_of("alpha.png"), {.max_pixels = 23 * 14}), "");
}

// A file of some kilobytes may hold thousands of scans of a picture.
TEST(Picture, scans_of_a_progressive_file_are_limited) {
  const Bytes file = file_of("progressive.jpg");
  size_t last = 0;  // the last start of a scan
  for (size_t at = 0; at + 1 < file.size(); ++at)
    if (file[at] == std::byte{0xFF} && file[at + 1] == std::byte{0xDA}) last = at;
  ASSERT_GT(last, 0u);
  const std::span<const std::byte> scan = std::span(file).subspan(last, file.size() - last - 2);
  Bytes bomb(file.begin(), file.end() - 2);
  for (int i = 0; i < 200; ++i) bomb.insert(bomb.end(), scan.begin(), scan.end());
  bomb.insert(bomb.end(), file.end() - 2, file.end());
  EXPECT_THAT(fault_of(bomb), HasSubstr("more than 100 scans"));
}

TEST(Picture, our_own_files_come_back) {
  const Image image = image_of(goldens()["colour"]);
  const auto read_back = [&](ImageFormat format, int quality) {
    return read_picture(bytes_of(image_file(image, format, quality, "a fox")), "own").image.rgb;
  };
  EXPECT_EQ(read_back(ImageFormat::kPng, 95), image.rgb);
  EXPECT_EQ(read_back(ImageFormat::kWebp, 100), image.rgb);
  EXPECT_EQ(read_back(ImageFormat::kJpeg, 95).size(), image.rgb.size());
}

}  // namespace
}  // namespace inkstone
