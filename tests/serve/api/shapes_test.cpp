// What all APIs share: /openapi.json tells of every route, the Open Inference Protocol, files of
// images, base64, Accept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <webp/decode.h>
#include <zlib.h>

#include <cstdio>
// after <cstdio>, which it needs
#include <jpeglib.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/image_file.h"
#include "fakes.h"
#include "serve/api/accept.h"
#include "serve/api/openapi.h"
#include "serve/api/png_texts.h"
#include "serve/images/enlarged_png.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

TEST(OpenApi, tells_of_every_route_and_of_no_other) {
  FakeServer server;
  const JsonObject paths = parse_json(openapi_document(""), "openapi").at("paths").as_object();
  size_t told = 0;
  for (const http::Route& route : server.router.routes()) {
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    const Json* path = paths.if_contains(route.pattern);
    EXPECT_TRUE(path && path->as_object().contains(method)) << route.method << " " << route.pattern;
  }
  for (const auto& path : paths)
    told += path.key() == "/openapi.json" || path.key() == "/docs" ? 0 : path.value().as_object().size();
  EXPECT_EQ(told, server.router.routes().size());
}

TEST(Oip, tells_health_and_metadata) {
  FakeServer server;
  EXPECT_EQ(server.ask({"GET", "/v2"})->json().at("name").as_string(), "inkstone");
  EXPECT_EQ(server.ask({"GET", "/v2/health/live"})->answer->status, 200);
  EXPECT_EQ(server.ask({"GET", "/v2/health/ready"})->answer->status, 200);
  EXPECT_EQ(server.ask({"GET", "/v2/models/demo"})->json().at("inputs").at(0).at("datatype").as_string(), "BYTES");
  EXPECT_EQ(server.ask({"GET", "/v2/models/demo/versions/1/ready"})->answer->status, 200);
  const auto other = server.ask({"GET", "/v2/models/x/ready"});
  EXPECT_EQ(other->answer->status, 404);
  EXPECT_TRUE(other->json().at("error").is_string());
  server.service.told_figures.draining = true;
  EXPECT_EQ(server.ask({"GET", "/v2/health/ready"})->answer->status, 503);
  EXPECT_EQ(server.ask({"GET", "/v2/models/demo/ready"})->answer->status, 503);
}

TEST(Base64, there_and_back) {
  for (const auto& [bytes, text] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}}) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(unbase64(text), bytes);
  }
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9v\n", "Zm 9", "Zg==Zg==", "Zm-_"})
    EXPECT_FALSE(unbase64(text)) << text;
}

Image gradient(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int value : {x * 3, y * 5, x + y}) image.rgb.push_back(static_cast<uint8_t>(value));
  return image;
}
std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(ImageFile, png_has_pixels_and_parameters) {
  const Image image = gradient(24, 16);
  const DecodedPng decoded = decode_png(bytes_of(image_file(image, ImageFormat::kPng, 95, "a fox\nSteps: 1")));
  EXPECT_EQ(decoded.image.rgb, image.rgb);
  EXPECT_EQ(decoded.texts, (TextChunks{{"parameters", "a fox\nSteps: 1"}}));
}

TEST(ImageFile, webp_of_100_is_lossless_and_has_an_exif_comment) {
  const Image image = gradient(24, 16);
  const std::string file = image_file(image, ImageFormat::kWebp, 100, "a fox");
  int width = 0, height = 0;
  uint8_t* rgb = WebPDecodeRGB(reinterpret_cast<const uint8_t*>(file.data()), file.size(), &width, &height);
  ASSERT_TRUE(rgb);
  EXPECT_EQ(width, 24);
  EXPECT_EQ(std::vector<uint8_t>(rgb, rgb + image.rgb.size()), image.rgb);
  WebPFree(rgb);
  EXPECT_THAT(file, HasSubstr(std::string("UNICODE\0\0a\0 \0f", 14)));
  EXPECT_EQ(file, image_file(image, ImageFormat::kWebp, 100, "a fox")) << "the same bytes each time";
  EXPECT_LT(image_file(image, ImageFormat::kWebp, 10, "").size(), file.size());
}

TEST(ImageFile, jpeg_is_near_the_image_and_has_an_exif_comment) {
  const Image image = gradient(64, 48);
  const std::string file = image_file(image, ImageFormat::kJpeg, 95, "a fox \xf0\x9f\xa6\x8a");
  EXPECT_TRUE(file.starts_with("\xff\xd8"));
  EXPECT_THAT(file, HasSubstr(std::string("UNICODE\0\0a\0 \0f\0o\0x\0 \xd8\x3e\xdd\x8a", 24)));
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&jpeg, TRUE);
  jpeg_start_decompress(&jpeg);
  Image decoded{64, 48, std::vector<uint8_t>(image.rgb.size())};
  while (jpeg.output_scanline < jpeg.output_height) {
    auto* row = decoded.rgb.data() + size_t{jpeg.output_scanline} * 64 * 3;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  EXPECT_GT(psnr(image, decoded), 30);
}

TEST(ImageFile, parameters_too_long_for_exif_are_left_out) {
  const Image image = gradient(16, 16);
  const std::string text(70000, 'x');
  for (const ImageFormat format : {ImageFormat::kJpeg, ImageFormat::kWebp})
    EXPECT_EQ(image_file(image, format, 90, text), image_file(image, format, 90, ""));
}

TEST(ImageFile, what_is_no_image_is_refused) {
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp}) {
    EXPECT_THROW(image_file({2, 2, {1}}, format, 90, ""), Error);
    EXPECT_THROW(image_file({0, 0, {}}, format, 90, ""), Error);
    EXPECT_THROW(image_file(gradient(2, 2), format, 0, ""), Error);
  }
}

TEST(EnlargedPng, repeats_every_pixel) {
  const Image small = gradient(5, 3);
  const DecodedPng large = decode_png(bytes_of(enlarged_png(small, 40, 12)));
  ASSERT_EQ(large.image.width, 40);
  ASSERT_EQ(large.image.height, 12);
  for (int y = 0; y < 12; ++y)
    for (int x = 0; x < 40; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(large.image.rgb[size_t(3 * (y * 40 + x) + c)], small.rgb[size_t(3 * (y / 4 * 5 + x / 8) + c)]);
  EXPECT_THROW(enlarged_png(small, 41, 12), Error);
}

TEST(Accept, takes_the_best_offer) {
  const std::vector<std::string_view> offers{"application/json", "image/png", "text/event-stream"};
  for (const auto& [header, best] :
       std::vector<std::pair<std::string, std::string>>{{"", "application/json"},
                                                        {"*/*", "application/json"},
                                                        {"image/*", "image/png"},
                                                        {"text/event-stream", "text/event-stream"},
                                                        {"IMAGE/PNG", "image/png"},
                                                        {"application/json;q=0.2,image/png;q=0.3", "image/png"},
                                                        {"image/png;q=0, */*;q=0.1", "application/json"},
                                                        {" , ;;, image/png", "image/png"},
                                                        {"application/xml", ""},
                                                        {"image/png;q=2", ""},
                                                        {"/", ""}})
    EXPECT_EQ(accepted(header, offers).value_or(""), best) << header;
  EXPECT_TRUE(prefers_async("Respond-Async"));
  EXPECT_TRUE(prefers_async("wait=10, respond-async;x=1"));
  EXPECT_FALSE(prefers_async("respond-asynchronously"));
}

std::string chunk(const std::string& name, const std::string& data) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(data.size() >> shift);
  return text + name + data + "crc!";
}
const std::string kBegin = "\x89PNG\r\n\x1a\n" + chunk("IHDR", std::string(13, '\0'));

TEST(PngTexts, are_bounded) {
  std::string many = kBegin;
  for (int i = 0; i < 257; ++i) many += chunk("tEXt", std::string("k\0v", 3));
  EXPECT_THROW(png_texts(many), Error);
  EXPECT_THROW(png_texts(kBegin + chunk("tEXt", std::string("k\0", 2) + std::string(1 << 21, 'x'))), Error);
  const std::string half = std::string("k\0", 2) + std::string(600 << 10, 'x');
  EXPECT_THROW(png_texts(kBegin + chunk("tEXt", half) + chunk("tEXt", half)), Error);
  EXPECT_EQ(png_texts(kBegin + chunk("tEXt", half)).size(), 1u);
}

std::string packed(size_t bytes, bool broken) {
  std::string text(bytes, 'x'), result(compressBound(bytes), '\0');
  uLongf size = result.size();
  compress(reinterpret_cast<Bytef*>(result.data()), &size, reinterpret_cast<const Bytef*>(text.data()), bytes);
  result.resize(size);
  if (broken) result.back() = static_cast<char>(result.back() + 1);  // its check sum
  return result;
}

TEST(PngTexts, every_text_chunk_counts_also_a_broken_one) {
  for (const auto& [name, data] : {std::pair("zTXt", std::string("k\0\0!", 4)),
                                   {"iTXt", std::string("k\0\1\0\0\0!", 7)},
                                   {"tEXt", std::string("no keyword")},
                                   {"tEXt", std::string(100, 'k') + '\0'}}) {
    std::string most = kBegin;
    for (int i = 0; i < 256; ++i) most += chunk(name, data);
    EXPECT_TRUE(png_texts(most).empty()) << name;
    EXPECT_THROW(png_texts(most + chunk(name, data)), Error) << name;
  }
}

TEST(PngTexts, what_is_unpacked_counts_also_if_it_then_breaks) {
  const std::string head("k\0\0", 3);
  EXPECT_TRUE(png_texts(kBegin + chunk("zTXt", head + packed(500'000, true))).empty());
  EXPECT_EQ(png_texts(kBegin + chunk("zTXt", head + packed(500'000, false))).at(0).second, std::string(500'000, 'x'));
  std::string three = kBegin;
  for (int i = 0; i < 3; ++i) three += chunk("zTXt", head + packed(500'000, true));
  EXPECT_THROW(png_texts(three), Error);
  EXPECT_THROW(png_texts(kBegin + chunk("zTXt", head + packed(100 << 20, false))), Error);
}

TEST(PngTexts, what_does_not_unpack_is_left_out) {
  for (const std::string& data : {std::string("k"), std::string("\0v", 2), std::string("k\0", 2),
                                  std::string("k\0\1x", 4), std::string("k\0\0garbage", 10)})
    EXPECT_TRUE(png_texts(kBegin + chunk("zTXt", data)).empty());
  for (const std::string& data : {std::string("k\0", 2), std::string("k\0\0", 3), std::string("k\0\0\0", 4),
                                  std::string("k\0\0\0\0", 5), std::string("k\0\1\0\0\0garbage", 13)})
    EXPECT_TRUE(png_texts(kBegin + chunk("iTXt", data)).empty());
}

TEST(Infotext, anything_is_read_somehow) {
  EXPECT_EQ(infotext_json("").at("Prompt").as_string(), "");
  EXPECT_EQ(infotext_json("only a prompt").at("Prompt").as_string(), "only a prompt");
  EXPECT_EQ(infotext_json("Negative prompt: x").at("Negative prompt").as_string(), "x");
  EXPECT_EQ(infotext_json("p\nSteps: 3, A: \"un\\\"clo").at("Steps").as_string(), "3");
  EXPECT_EQ(infotext_json("Steps:").at("Steps").as_string(), "");
  std::string many = "Steps: 1";
  for (int i = 0; i < 100'000; ++i) many += ", " + std::to_string(i) + ": 1";
  EXPECT_LE(infotext_json(many).size(), 258u);
  EXPECT_EQ(infotext_json("Steps: 1, Size: x").at("Size-1").as_string(), "");
}

}  // namespace
}  // namespace inkstone::serve
