// Masks as AUTOMATIC1111's and OpenAI's clients send them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <webp/encode.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "serve/api/pictures.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

// Grey, and half transparent if it has transparency.
std::string webp(bool lossless, bool transparent) {
  constexpr int kSide = 16;
  const int channels = transparent ? 4 : 3;
  const std::vector<uint8_t> pixels(static_cast<size_t>(kSide * kSide * channels), 128);
  uint8_t* file = nullptr;
  const auto encode = lossless ? (transparent ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB) : nullptr;
  const auto encode_near = transparent ? WebPEncodeRGBA : WebPEncodeRGB;
  const size_t size = encode ? encode(pixels.data(), kSide, kSide, kSide * channels, &file)
                             : encode_near(pixels.data(), kSide, kSide, kSide * channels, 80, &file);
  const std::string bytes(reinterpret_cast<const char*>(file), size);
  WebPFree(file);
  return bytes;
}

Ask inpaint(JsonObject body) {
  body["prompt"] = "p";
  body["init_images"] = JsonArray{base64(picture())};
  if (!body.contains("mask")) body["mask"] = base64(picture(72));
  return json("/sdapi/v1/img2img", body);
}

TEST(A1111Masks, have_the_web_uis_defaults) {
  PictureServer server;
  ASSERT_FALSE(server.ask(inpaint({}))->answer);
  const Repaint& repaint = server.asked().repaint;
  ASSERT_TRUE(repaint.mask);
  EXPECT_EQ(*repaint.mask, given_file(picture(72), ""));
  EXPECT_EQ(repaint.blur, 4);
  EXPECT_EQ(repaint.fill, MaskFill::kFill);
  EXPECT_FALSE(repaint.invert);
  EXPECT_TRUE(repaint.only_masked);
  EXPECT_EQ(repaint.padding, 0);
}

TEST(A1111Masks, fields_reach_the_image) {
  PictureServer server;
  ASSERT_FALSE(server
                   .ask(inpaint({{"mask_blur", 7},
                                 {"mask_blur_x", 1},  // mask_blur says both
                                 {"inpainting_mask_invert", 1},
                                 {"inpaint_full_res", false},
                                 {"inpaint_full_res_padding", 24}}))
                   ->answer);
  EXPECT_EQ(server.asked().repaint.blur, 7);
  EXPECT_TRUE(server.asked().repaint.invert);
  EXPECT_FALSE(server.asked().repaint.only_masked);
  EXPECT_EQ(server.asked().repaint.padding, 24);
  ASSERT_FALSE(server.ask(inpaint({{"mask_blur_x", 9}, {"mask_blur_y", 9}}))->answer);
  EXPECT_EQ(server.asked().repaint.blur, 9);
  const MaskFill fills[] = {MaskFill::kFill, MaskFill::kOriginal, MaskFill::kNoise, MaskFill::kZeros};
  for (int number = 0; number < 4; ++number) {
    ASSERT_FALSE(server.ask(inpaint({{"inpainting_fill", number}}))->answer);
    EXPECT_EQ(server.asked().repaint.fill, fills[number]) << number;
  }
  ASSERT_FALSE(server.ask(inpaint({{"mask", nullptr}, {"inpainting_fill", 2}}))->answer);
  EXPECT_FALSE(server.asked().repaint.any()) << "without a mask its fields say nothing";
}

TEST(A1111Masks, what_is_not_here_is_refused_by_name) {
  PictureServer server;
  struct Row {
    JsonObject body;
    int status;
    const char* says;
  };
  for (const Row& row : std::vector<Row>{{{{"mask_blur_x", 3}}, 422, "mask_blur_x and mask_blur_y must be alike"},
                                         {{{"latent_mask", base64(picture())}}, 422, "latent_mask"},
                                         {{{"mask_round", false}}, 422, "mask_round"},
                                         {{{"inpainting_mask_weight", 0.5}}, 422, "inpainting_mask_weight"},
                                         {{{"inpainting_fill", 4}}, 400, "inpainting_fill"},
                                         {{{"inpainting_mask_invert", 2}}, 400, "inpainting_mask_invert"},
                                         {{{"mask_blur", -1}}, 400, "mask_blur"},
                                         {{{"inpaint_full_res_padding", 100000}}, 400, "inpaint_full_res_padding"},
                                         {{{"mask", base64("nothing")}}, 400, "mask: it is neither"},
                                         {{{"mask", "http://x/"}}, 400, "no URL"}})
    EXPECT_THAT(server.refusal(inpaint(row.body), row.status), HasSubstr(row.says)) << json_text(row.body);
  EXPECT_TRUE(server.service.orders.empty());
}

TEST(OpenAiMasks, transparent_parts_are_drawn_anew_wholly_if_nothing_else_is_said) {
  const std::string png = read_file(INKSTONE_SOURCE_DIR "/tests/fixtures/from_pictures/opaque_mask.png", 1 << 20);
  for (const std::string& mask : {png, webp(true, true), webp(false, true)}) {
    PictureServer server;
    Parts parts{{"image", "@" + picture()}, {"mask", "@" + mask}, {"prompt", "a hat"}};
    auto exchange = server.ask(form("/v1/images/edits", parts));
    ASSERT_FALSE(exchange->answer) << exchange->answer->body;
    ASSERT_TRUE(server.asked().repaint.mask);
    EXPECT_TRUE(server.asked().repaint.invert) << "its opaque part is what stays";
    EXPECT_EQ(server.asked().strength, 1);
    parts.insert(parts.end(), {{"strength", "0.5"}, {"mask_invert", "true"}});
    exchange = server.ask(form("/v1/images/edits", parts));
    ASSERT_FALSE(exchange->answer) << exchange->answer->body;
    EXPECT_FALSE(server.asked().repaint.invert);
    EXPECT_EQ(server.asked().strength, 0.5f);
  }
}

TEST(OpenAiMasks, an_opaque_one_is_refused) {
  for (const std::string& mask : {picture(), picture(64, 64, ImageFormat::kJpeg), webp(true, false), webp(false, false),
                                  picture(64, 64, ImageFormat::kWebp, "with EXIF")}) {
    PictureServer server;
    EXPECT_THAT(
        server.refusal(
            form("/v1/images/edits", {{"image", "@" + picture()}, {"mask", "@" + mask}, {"prompt", "a hat"}}), 400),
        HasSubstr("has no transparency"));
    EXPECT_TRUE(server.service.orders.empty());
  }
}

}  // namespace
}  // namespace inkstone::serve
