// Pictures in requests, in each dialect: in JSON and in forms, once in memory, and never looked into but for their headers.
#include "serve/api/pictures.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/image_file.h"
#include "serve/api/a1111_request.h"
#include "serve/api/generate_request.h"
#include "serve/wire/spooled.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

std::string text_of(const GivenFile& file) {
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

TEST(Pictures, come_in_json_and_in_forms) {
  const std::string file = picture(96, 64);
  const std::string large = file + std::string(100 << 10, 'x');  // what follows a picture's end is nobody's
  for (const std::string& content : {file, large})
    for (const Ask& ask :
         {json("/generate", {{"prompt", "p"}, {"image", base64(content)}, {"strength", 0.5}}),
          json("/generate",
               {{"prompt", "p"}, {"strength", 0.5}, {"image", "data:image/png;base64," + base64(content)}}),
          form("/generate", {{"prompt", "p"}, {"image", "@" + content}, {"strength", "0.5"}})}) {
      PictureServer server;
      const auto exchange = server.ask(ask);
      ASSERT_FALSE(exchange->answer) << exchange->answer->body;
      EXPECT_EQ(text_of(*server.asked().image), content);
      EXPECT_EQ(server.asked().image->source, "image");
      EXPECT_EQ(server.asked().strength, 0.5f);
      EXPECT_EQ(server.asked().width, 96);
      EXPECT_EQ(server.asked().height, 64);
      exchange->asked.body.clear();
      server.service.finish_all();
      EXPECT_EQ(exchange->json().at("parameters").at("image"), Json("image"));
    }
}

TEST(Pictures, all_images_of_an_order_share_one_sealed_memory_file) {
  PictureServer server;
  server.ask(form("/generate", {{"prompt", "p"}, {"image", "@" + picture()}, {"num_images_per_prompt", "4"}}));
  ASSERT_EQ(server.service.last().order.images.size(), 4u);
  const GivenFile& first = *server.asked().image;
  ASSERT_GE(memory_file_of(first), 0);
  EXPECT_EQ(fcntl(memory_file_of(first), F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(server.asked(i).image->bytes.data(), first.bytes.data());
    EXPECT_EQ(server.asked(i).seed, server.asked().seed + i);
  }
}

TEST(Pictures, a_form_says_all_that_json_says) {
  PictureServer server;
  const auto exchange = server.ask(form("/generate", {{"prompt", "p"},
                                                      {"seed", "7"},
                                                      {"karras", "true"},
                                                      {"scheduler", "euler"},
                                                      {"guidance_scale", "2.5"},
                                                      {"priority", "high"}}));
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  EXPECT_EQ(server.asked().seed, 7u);
  EXPECT_EQ(server.asked().guidance_scale, 2.5f);
  EXPECT_EQ(server.asked().said().schedule, "karras");
  EXPECT_EQ(server.service.last().order.priority, Priority::kHigh);
  EXPECT_THAT(server.refusal(form("/generate", {{"prompt", "p"}, {"prompt", "q"}}), 400), HasSubstr("stands twice"));
  EXPECT_THAT(server.refusal(form("/generate", {{"prompt", "@p"}}), 400), HasSubstr("is a file; it must be a text"));
  EXPECT_THAT(server.refusal(form("/generate", {{"promt", "p"}}), 400), HasSubstr("did you mean"));
  EXPECT_THAT(
      server.refusal(form("/generate", {{"prompt", "p"}, {"image", "@" + picture()}, {"image", "@" + picture()}}), 400),
      HasSubstr("one is taken"));
  Ask both = form("/generate", {{"prompt", "p"}});
  both.query = {{"prompt", "q"}};
  EXPECT_THAT(server.refusal(both, 400), HasSubstr("in the query and in the body"));
  // What a browser sends where no file was chosen.
  EXPECT_FALSE(server.ask(form("/generate", {{"prompt", "p"}, {"image", "@"}}))->answer);
  EXPECT_FALSE(server.asked().image);
}

TEST(Pictures, no_url_is_fetched_and_what_is_no_picture_is_refused_by_its_header) {
  PictureServer server;
  for (const char* url : {"http://169.254.169.254/a.png", "https://e.org/a.png", "file:///etc/passwd", "ftp://a/b"})
    EXPECT_THAT(server.refusal(json("/generate", {{"prompt", "p"}, {"image", url}}), 400),
                HasSubstr("no URL is fetched"));
  std::string huge = picture();
  huge.replace(16, 8, std::string("\0\0\xff\xff\0\0\xff\xff", 8));
  for (const std::string& file : {std::string("GIF89a and more"), std::string("<html>"), picture().substr(0, 20), huge})
    for (const Ask& ask : {json("/generate", {{"prompt", "p"}, {"width", 64}, {"height", 64}, {"image", base64(file)}}),
                           form("/generate", {{"prompt", "p"}, {"image", "@" + file}})})
      EXPECT_THAT(server.refusal(ask, 400), HasSubstr("image: ")) << file.size();
  for (const char* text : {"", "%%%", "data:image/png,abc", "data:;base64", "A"})
    EXPECT_THAT(server.refusal(json("/generate", {{"prompt", "p"}, {"image", text}}), 400), HasSubstr("base64"))
        << text;
  EXPECT_TRUE(server.service.orders.empty());
}

// What the gateway compares where a key comes again; each request here has a key of its own, so that each is an order.
TEST(Pictures, a_request_again_is_the_same_whatever_its_boundary) {
  PictureServer server;
  const auto asked_with = [&](const std::string& key, const std::string& file, const std::string& boundary) {
    Ask ask = form("/generate", {{"prompt", "p"}, {"image", "@" + file}});
    ask.headers = {{"content-type", "multipart/form-data; boundary=" + boundary}, {"idempotency-key", key}};
    for (size_t at; (at = ask.body.find("--XX")) != std::string::npos;) ask.body.replace(at, 4, "--" + boundary);
    server.ask(ask);
    return server.service.last().order.asked;
  };
  const std::string first = asked_with("k1", picture(), "AA"), again = asked_with("k2", picture(), "BBB"),
                    other = asked_with("k3", picture(64, 72), "AA");
  EXPECT_EQ(server.service.orders.size(), 3u);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(again, first);
  EXPECT_NE(other, first);
}

TEST(Pictures, img2img_is_read_as_the_web_ui_reads_it) {
  struct Row {
    double denoising;
    int steps, run;
  };
  for (const Row& row : {Row{0.75, 20, 16}, {0, 20, 1}, {1, 20, 20}, {0.5, 7, 4}, {0.999, 4, 4}}) {
    PictureServer server;
    const auto exchange = server.ask(json("/sdapi/v1/img2img", {{"prompt", "p"},
                                                                {"init_images", JsonArray{base64(picture())}},
                                                                {"denoising_strength", row.denoising},
                                                                {"steps", row.steps},
                                                                {"resize_mode", 1},
                                                                {"width", 128},
                                                                {"height", 64}}));
    ASSERT_FALSE(exchange->answer) << exchange->answer->body;
    EXPECT_EQ(server.asked().evaluations(), row.run) << row.denoising << " " << row.steps;
    EXPECT_EQ(server.asked().resize_mode, ResizeMode::kCrop);
    EXPECT_EQ(server.asked().width, 128);
    server.service.finish_all();
    const Json answer = exchange->json();
    EXPECT_EQ(answer.at("parameters").at("init_images"), Json());
    const Json info = parse_json(answer.at("info").as_string(), "info");
    EXPECT_NEAR(info.at("denoising_strength").to_number<double>(), row.denoising, 1e-6);
  }
}

TEST(Pictures, what_img2img_has_not_is_refused_by_name) {
  PictureServer server;
  const auto refused = [&](JsonObject body, int status) {
    body["prompt"] = "p";
    if (!body.contains("init_images")) body["init_images"] = JsonArray{base64(picture())};
    return server.refusal(json("/sdapi/v1/img2img", body), status);
  };
  EXPECT_THAT(refused({{"init_images", nullptr}}, 404), HasSubstr("Init image not found"));
  EXPECT_THAT(refused({{"init_images", JsonArray{}}}, 404), HasSubstr("Init image not found"));
  EXPECT_THAT(refused({{"init_images", JsonArray{base64(picture()), base64(picture())}}}, 422), HasSubstr("2 images"));
  EXPECT_THAT(refused({{"init_images", JsonArray{"http://x/"}}}, 400), HasSubstr("no URL"));
  EXPECT_THAT(refused({{"init_images", JsonArray{base64("nothing")}}}, 400), HasSubstr("init_images: it is neither"));
  EXPECT_THAT(refused({{"resize_mode", 3}}, 422), HasSubstr("resize_mode 3"));
  EXPECT_THAT(refused({{"include_init_images", true}}, 422), HasSubstr("include_init_images"));
  EXPECT_THAT(refused({{"initial_noise_multiplier", 0.5}}, 422), HasSubstr("initial_noise_multiplier"));
  EXPECT_THAT(refused({{"denoising_strength", 2}}, 400), HasSubstr("denoising_strength"));
  EXPECT_THAT(server.refusal(json("/sdapi/v1/txt2img", {{"prompt", "p"}, {"init_images", JsonArray{"A"}}}), 422),
              HasSubstr("img2img takes it"));
}

TEST(Pictures, edits_and_variations_are_forms) {
  PictureServer server;
  server.service.card.traits.size_multiple = 8;
  for (const char* name : {"image", "image[]"}) {
    const auto exchange = server.ask(
        form("/v1/images/edits", {{name, "@" + picture()}, {"prompt", "a hat"}, {"n", "2"}, {"size", "128x64"}}));
    ASSERT_FALSE(exchange->answer) << exchange->answer->body;
    EXPECT_EQ(server.service.last().order.images.size(), 2u);
    EXPECT_EQ(server.asked().width, 128);
    EXPECT_TRUE(server.asked().image);
  }
  const auto exchange = server.ask(form("/v1/images/variations", {{"image", "@" + picture()}, {"size", ""}}));
  ASSERT_TRUE(exchange->answer);  // an empty size is none
  ASSERT_FALSE(server.ask(form("/v1/images/variations", {{"image", "@" + picture()}}))->answer);
  EXPECT_EQ(server.asked().prompt, "");
  EXPECT_EQ(server.asked().width, 64);
  EXPECT_THAT(server.refusal(form("/v1/images/edits", {{"prompt", "p"}}), 400),
              HasSubstr("Missing required parameter: 'image'"));
  EXPECT_THAT(server.refusal(form("/v1/images/edits", {{"image", "@" + picture()}}), 400), HasSubstr("'prompt'"));
  EXPECT_THAT(
      server.refusal(
          form("/v1/images/edits", {{"image[]", "@" + picture()}, {"image[]", "@" + picture()}, {"prompt", "p"}}), 400),
      HasSubstr("image[]"));
  EXPECT_THAT(
      server.refusal(
          form("/v1/images/edits", {{"image", "@" + picture()}, {"image[]", "@" + picture()}, {"prompt", "p"}}), 400),
      HasSubstr("another name"));
}

TEST(Pictures, png_info_reads_every_format) {
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp}) {
    PictureServer server;
    const std::string said = "a f\xc3\xb6x \xf0\x9f\xa6\x8a\nSteps: 4, Seed: 7";
    const auto exchange = server.ask(json("/sdapi/v1/png-info", {{"image", base64(picture(8, 8, format, said))}}));
    ASSERT_EQ(exchange->answer->status, 200) << exchange->answer->body;
    EXPECT_EQ(exchange->json().at("info"), Json(said));
    EXPECT_EQ(exchange->json().at("parameters").at("Seed"), Json("7"));
  }
}

}  // namespace
}  // namespace inkstone::serve
