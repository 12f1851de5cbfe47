// PNG there and back, every kind of PNG that libpng can write, and hostile ones.
#include "base/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/error.h"

namespace inkstone {
namespace {

using Bytes = std::vector<std::byte>;

Image speckled(int width, int height, uint32_t seed = 1) {
  std::mt19937 random(seed);
  Image image{width, height, std::vector<uint8_t>(size_t{3} * width * height)};
  for (uint8_t& value : image.rgb) value = static_cast<uint8_t>(random());
  return image;
}

// A PNG written by libpng from rows of raw samples; what a case wants besides stands in `extra`.
struct Raw {
  int width, height, depth, color, interlace = PNG_INTERLACE_NONE;
  std::vector<uint8_t> samples;  // packed rows
  void (*extra)(png_structp, png_infop) = [](png_structp, png_infop) {};
};
Bytes written(Raw raw) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t length) {
        auto& to = *static_cast<Bytes*>(png_get_io_ptr(p));
        const auto* from = reinterpret_cast<const std::byte*>(data);
        to.insert(to.end(), from, from + length);
      },
      nullptr);
  png_set_IHDR(png, info, raw.width, raw.height, raw.depth, raw.color, raw.interlace, 0, 0);
  raw.extra(png, info);
  png_write_info(png, info);
  const size_t row = png_get_rowbytes(png, info);
  EXPECT_EQ(raw.samples.size(), row * raw.height);
  std::vector<png_bytep> rows;
  for (int y = 0; y < raw.height; ++y) rows.push_back(raw.samples.data() + y * row);
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

uint32_t crc(const std::byte* data, size_t length) {
  uint32_t sum = ~0u;
  for (size_t i = 0; i < length; ++i) {
    sum ^= std::to_integer<uint32_t>(data[i]);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
  }
  return ~sum;
}

std::string number(uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}
std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string chunk(const std::string& name, const std::string& data) {
  const std::string named = name + data;
  const uint32_t sum = crc(bytes_of(named).data(), named.size());
  return number(static_cast<uint32_t>(data.size())) + named + number(sum);
}
constexpr size_t kAfterHeader = 8 + 25;  // signature and header chunk
Bytes with_chunk(Bytes png, const std::string& extra) {
  const auto bytes = bytes_of(extra);
  png.insert(png.begin() + kAfterHeader, bytes.begin(), bytes.end());
  return png;
}
bool contains(const Bytes& bytes, std::string_view text) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(text) != std::string::npos;
}
std::string refusal(const Bytes& png, int64_t max_pixels = 1 << 20) {
  try {
    decode_png(png, max_pixels);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Png, comes_back_as_it_was) {
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 7}, {13, 5}, {64, 64}, {257, 3}}) {
    const Image image = speckled(width, height);
    const Image back = decode_png(encode_png(image)).image;
    EXPECT_EQ(back.width, width);
    EXPECT_EQ(back.height, height);
    EXPECT_EQ(back.rgb, image.rgb);
  }
}

TEST(Png, same_image_same_bytes) {
  EXPECT_EQ(encode_png(speckled(40, 30), {{"parameters", "x"}}), encode_png(speckled(40, 30), {{"parameters", "x"}}));
}

TEST(Png, texts_come_back) {
  const TextChunks texts = {{"parameters", "a fox\nSteps: 20, Seed: 42"},
                            {"Latin", "caf\u00e9 \u00ff"},
                            {"CJK", "\u6c34\u58a8\u753b \U0001F98A"},
                            {"empty", ""},
                            {"long", std::string(500'000, 'x')}};
  const Bytes png = encode_png(speckled(3, 3), texts);
  EXPECT_EQ(decode_png(png).texts, texts);
  EXPECT_TRUE(contains(png, std::string("tEXtparameters\0a fox\n", 21)));
  EXPECT_TRUE(contains(png, std::string("tEXtLatin\0caf\xe9 \xff", 16)));
  EXPECT_TRUE(contains(png, std::string("iTXtCJK\0\0\0\0\0\u6c34", 15)));
}

TEST(Png, texts_that_png_cannot_hold_are_mended) {
  const TextChunks texts = {{"nul", std::string("a\0b", 3)}, {"broken", "\xff \xed\xa0\x80 \xc0\xaf \xe6\xb0"}};
  const TextChunks back = decode_png(encode_png(speckled(3, 3), texts)).texts;
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].second, "a\uFFFDb");
  EXPECT_EQ(back[1].second, "\uFFFD \uFFFD\uFFFD\uFFFD \uFFFD\uFFFD \uFFFD");
}

TEST(Png, refuses_to_write_nonsense) {
  EXPECT_THROW(encode_png(Image{}), Error);
  EXPECT_THROW(encode_png(Image{2, 2, std::vector<uint8_t>(11)}), Error);
  for (const std::string& keyword : {std::string(), std::string(80, 'k'), std::string(" k"), std::string("\xc3\xa9")}) {
    EXPECT_THROW(encode_png(speckled(2, 2), {{keyword, "x"}}), Error) << keyword;
  }
}

std::vector<uint8_t> unhex(const std::string& text) {  // "01ff 20"
  std::vector<uint8_t> bytes;
  for (size_t at = 0; at < text.size(); at += 2) {
    at += text[at] == ' ';
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

TEST(Png, every_kind_becomes_rgb) {
  const auto palette = [](png_structp png, png_infop info) {
    const png_color colors[] = {{9, 8, 7}, {255, 0, 1}, {3, 200, 5}};
    png_set_PLTE(png, info, colors, 3);
    const png_byte alpha[] = {0, 128};
    png_set_tRNS(png, info, alpha, 2, nullptr);
  };
  const auto gray_key = [](png_structp png, png_infop info) {
    png_color_16 key{};
    key.gray = 1;
    png_set_tRNS(png, info, nullptr, 0, &key);
  };
  struct Row {
    const char* what;
    int width, height, depth, color;
    const char *samples, *rgb;
    void (*extra)(png_structp, png_infop) = [](png_structp, png_infop) {};
  };
  const Row rows[] = {
      {"rgb 8", 2, 1, 8, PNG_COLOR_TYPE_RGB, "010203 040506", "010203 040506"},
      {"rgb 16", 1, 1, 16, PNG_COLOR_TYPE_RGB, "ffff 1234 00ff", "ff1201"},
      {"rgba 8", 1, 2, 8, PNG_COLOR_TYPE_RGBA, "01020300 0405064d", "010203 040506"},
      {"rgba 16", 1, 1, 16, PNG_COLOR_TYPE_RGBA, "0909 0808 0707 0001", "090807"},
      {"gray 1", 3, 1, 1, PNG_COLOR_TYPE_GRAY, "a0", "ffffff 000000 ffffff"},
      {"gray 4", 2, 1, 4, PNG_COLOR_TYPE_GRAY, "1f", "111111 ffffff"},
      {"gray 8 keyed", 2, 1, 8, PNG_COLOR_TYPE_GRAY, "01 63", "010101 636363", gray_key},
      {"gray 16", 1, 1, 16, PNG_COLOR_TYPE_GRAY, "abab", "ababab"},
      {"gray alpha", 1, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, "3201", "323232"},
      {"palette 2", 3, 1, 2, PNG_COLOR_TYPE_PALETTE, "18", "090807 ff0001 03c805", palette},
      {"palette 8", 2, 1, 8, PNG_COLOR_TYPE_PALETTE, "02 00", "03c805 090807", palette},
  };
  for (const Row& row : rows) {
    const Raw raw{row.width, row.height, row.depth, row.color, PNG_INTERLACE_NONE, unhex(row.samples), row.extra};
    const Image image = decode_png(written(raw)).image;
    EXPECT_EQ(image.width, row.width) << row.what;
    EXPECT_EQ(image.rgb, unhex(row.rgb)) << row.what;
  }
}

TEST(Png, interlaced_equals_plain) {
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 2}, {8, 8}, {29, 31}}) {
    const Image image = speckled(width, height);
    const Raw raw{width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, image.rgb};
    EXPECT_EQ(decode_png(written(raw)).image.rgb, image.rgb) << width << "x" << height;
  }
}

TEST(Png, reads_packed_texts_and_skips_what_it_does_not_need) {
  const auto extra = [](png_structp png, png_infop info) {
    char keyword[] = "packed", text[] = "zzzzzzzzzzzzzzzzzzzzzzz\xe9", wide[] = "\xe6\xb0\xb4", none[] = "";
    png_text texts[2]{};
    texts[0].compression = PNG_TEXT_COMPRESSION_zTXt;
    texts[0].key = texts[1].key = keyword;
    texts[0].text = text;
    texts[1].compression = PNG_ITXT_COMPRESSION_zTXt;
    texts[1].text = wide;
    texts[1].lang = texts[1].lang_key = none;
    png_set_text(png, info, texts, 2);
    png_set_gAMA(png, info, 0.4);
  };
  Bytes png = written({1, 1, 8, PNG_COLOR_TYPE_RGB, 0, {1, 2, 3}, extra});
  png = with_chunk(png, chunk("iCCP", "not a profile"));
  png = with_chunk(png, chunk("caBX", std::string(3 << 20, 'c')));
  const DecodedPng decoded = decode_png(png);
  EXPECT_EQ(decoded.image.rgb, (std::vector<uint8_t>{1, 2, 3}));
  const TextChunks expected = {{"packed", "zzzzzzzzzzzzzzzzzzzzzzz\u00e9"}, {"packed", "\u6c34"}};
  EXPECT_EQ(decoded.texts, expected);
}

TEST(Png, truncated_anywhere_is_an_error) {
  const Bytes png = encode_png(speckled(9, 9), {{"parameters", "short"}, {"CJK", "\u6c34"}});
  for (size_t length = 0; length < png.size(); ++length) {
    const Bytes part(png.begin(), png.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_THAT(refusal(part), testing::StartsWith("png: ")) << length;
  }
}

TEST(Png, corruption_is_an_error_or_an_image) {
  std::mt19937 random(7);
  const Bytes plain = encode_png(speckled(9, 9), {{"parameters", "short"}, {"CJK", "\u6c34"}});
  int refused = 0;
  for (int trial = 0; trial < 20'000; ++trial) {
    Bytes png = plain;
    for (int changes = 1 + trial % 4; changes > 0; --changes) png[random() % png.size()] = std::byte(random());
    // the check sums do not save us
    if (trial % 2 == 0) {
      for (size_t at = 8; at + 12 <= png.size();) {
        uint32_t length = 0;
        for (int i = 0; i < 4; ++i) length = length << 8 | std::to_integer<uint32_t>(png[at + i]);
        if (length > png.size() - at - 12) break;
        const std::string sum = number(crc(&png[at + 4], length + 4));
        std::memcpy(&png[at + 8 + length], sum.data(), 4);
        at += length + 12;
      }
    }
    refused += refusal(png) != "accepted";
  }
  EXPECT_GT(refused, 10'000);
}

TEST(Png, huge_sizes_are_refused_by_the_header) {
  const Bytes plain = encode_png(speckled(2, 2));
  const auto sized = [&](uint32_t width, uint32_t height) {
    const std::string header = number(width) + number(height) + std::string("\x8\x2\0\0\0", 5);
    Bytes png = plain;
    std::ranges::copy(bytes_of(chunk("IHDR", header)), png.begin() + 8);
    return png;
  };
  EXPECT_EQ(refusal(sized(2, 2)), "accepted");
  EXPECT_THAT(refusal(sized(1025, 1024)), testing::HasSubstr("1025x1024 pixels are more than the 1048576 allowed"));
  for (const auto& [width, height] : {std::pair{0u, 2u},
                                      {2u, 0u},
                                      {0xffffffffu, 0xffffffffu},
                                      {0x80000000u, 2u},
                                      {1u << 16, 1u << 16},
                                      {1u << 20, 1u}}) {
    EXPECT_THAT(refusal(sized(width, height)), testing::StartsWith("png: ")) << width << "x" << height;
  }
}

TEST(Png, text_bombs_are_refused) {
  const Bytes plain = encode_png(speckled(2, 2));
  const auto bomb = [](png_structp png, png_infop info) {
    static std::string text(2 << 20, 'b');
    static char keyword[] = "bomb";
    png_text one{};
    one.compression = PNG_TEXT_COMPRESSION_zTXt;
    one.key = keyword;
    one.text = text.data();
    png_set_text(png, info, &one, 1);
  };
  const Bytes packed = written({1, 1, 8, PNG_COLOR_TYPE_RGB, 0, {1, 2, 3}, bomb});
  EXPECT_LT(packed.size(), 10'000u);
  EXPECT_THAT(refusal(packed), testing::HasSubstr("unpack to more than"));
  const std::string long_text = std::string("k\0", 2) + std::string(1 << 20, 'x');
  EXPECT_THAT(refusal(with_chunk(plain, chunk("tEXt", long_text))), testing::HasSubstr("at most 1048576"));
  Bytes many = plain;
  for (int i = 0; i < 1001; ++i) many = with_chunk(many, chunk("tEXt", std::string("k\0x", 3)));
  EXPECT_THAT(refusal(many), testing::HasSubstr("more than 1000 texts"));
  EXPECT_THAT(refusal(with_chunk(plain, chunk("ABCD", "unknown"))), testing::HasSubstr("critical"));
  EXPECT_THAT(refusal(with_chunk(plain, chunk("iTXt", std::string("k\0\0\0\0\0\xff", 7)))),
              testing::HasSubstr("UTF-8"));
}

TEST(Psnr, is_that_of_the_textbook) {
  Image a{2, 1, {10, 20, 30, 40, 50, 60}}, b = a;
  EXPECT_EQ(psnr(a, b), std::numeric_limits<double>::infinity());
  b.rgb[3] += 6;  // mean of squares 6
  EXPECT_NEAR(psnr(a, b), 40.349, 1e-3);
  EXPECT_THROW(psnr(a, Image{1, 2, a.rgb}), Error);
}

}  // namespace
}  // namespace inkstone
