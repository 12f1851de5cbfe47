// The operator's upscalers in requests and lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/image_file.h"
#include "fakes.h"

namespace inkstone::serve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct UpscalerServer : FakeServer {
  UpscalerServer() { service.card.traits.upscalers = {{"RealESRGAN_x4plus", 4}, {"fox_x2", 2}}; }
  const ResolvedRequest& drawn(const char* path, const std::string& body) {
    const size_t before = service.orders.size();
    const auto exchange = ask({"POST", path, body});
    EXPECT_EQ(service.orders.size(), before + 1) << body;
    return *service.last().order.images.at(0);
  }
};

TEST(Upscalers, are_named_by_each_api) {
  UpscalerServer server;
  const char* generate = R"({"prompt": "p", "width": 64, "height": 64, "hires": 2, "hires_upscaler": "fox_x2"})";
  EXPECT_EQ(server.drawn("/generate", generate).hires_upscaler.network, 1);
  const char* openai = R"({"prompt": "p", "size": "64x64", "hires": 2, "hires_upscaler": "RealESRGAN_x4plus"})";
  EXPECT_EQ(server.drawn("/v1/images/generations", openai).hires_upscaler.network, 0);
  for (const auto& [name, network] :
       {std::pair("fox_x2", 1), {"R-ESRGAN 4x+", 0}, {"RealESRGAN_x4plus", 0}, {"None", -1}, {"Latent", -1}}) {
    const ResolvedRequest& drawn = server.drawn(
        "/sdapi/v1/txt2img", R"({"prompt": "p", "width": 64, "height": 64, "enable_hr": true, "hr_upscaler": ")" +
                                 std::string(name) + "\"}");
    EXPECT_EQ(drawn.hires_upscaler.network, network) << name;
  }
}

TEST(Upscalers, are_listed) {
  UpscalerServer server;
  const Json theirs = server.ask({"GET", "/sdapi/v1/upscalers"})->json();
  const Json& last = theirs.as_array().back();
  EXPECT_EQ(last.at("name"), Json("fox_x2"));
  EXPECT_EQ(last.at("model_name"), Json("fox_x2"));
  EXPECT_EQ(last.at("scale").to_number<int>(), 2);
  EXPECT_EQ(theirs.at(0).at("name"), Json("None"));
  const Json own = server.ask({"GET", "/models"})->json().at("upscalers");
  EXPECT_EQ(own.at(0), Json("latent"));
  EXPECT_EQ(own.as_array().back(), Json("fox_x2"));
}

TEST(Upscalers, of_another_name_are_refused_with_those_that_there_are) {
  UpscalerServer server;
  const auto exchange = server.ask({"POST", "/generate", R"({"prompt": "p", "hires": 2, "hires_upscaler": "fox_x8"})"});
  EXPECT_EQ(exchange->answer->status, 400u);
  EXPECT_THAT(exchange->answer->body, AllOf(HasSubstr("hires_upscaler"), HasSubstr("fox_x2"), HasSubstr("lanczos")));
  EXPECT_TRUE(server.service.orders.empty());
}

std::string picture(int width, int height) {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(3 * width * height), 90)};
  return base64(image_file(image, ImageFormat::kPng, 90, ""));
}

Ask extras(JsonObject body) {
  if (!body.contains("image")) body["image"] = picture(40, 30);
  return {"POST", "/sdapi/v1/extra-single-image", json_text(body)};
}

TEST(Extras, become_an_image_without_evaluations_of_the_size_that_was_asked_for) {
  UpscalerServer server;
  const auto asked = [&](const JsonObject& body) -> const ResolvedRequest& {
    const size_t before = server.service.orders.size();
    const auto exchange = server.ask(extras(body));
    EXPECT_EQ(server.service.orders.size(), before + 1) << (exchange->answer ? exchange->answer->body : "");
    return *server.service.last().order.images.at(0);
  };
  const auto size = [](const ResolvedRequest& request) {
    return std::pair(request.output.width, request.output.height);
  };
  using Size = std::pair<int64_t, int64_t>;
  const ResolvedRequest& by_four = asked({{"upscaler_1", "R-ESRGAN 4x+"}, {"upscaling_resize", 4}});
  EXPECT_EQ(by_four.evaluations(), 0);
  EXPECT_EQ(by_four.enlargement->first.network, 0);
  EXPECT_EQ(size(by_four), Size(160, 120));
  EXPECT_EQ(size(asked({{"upscaler_1", "Lanczos"}})), Size(80, 60)) << "twice, as there";
  EXPECT_EQ(size(asked({{"upscaler_1", "Lanczos"}, {"upscaling_resize", 1.5}})), Size(60, 45));
  EXPECT_EQ(size(asked({})), Size(40, 30)) << "None leaves it as it is";
  const JsonObject to{
      {"upscaler_1", "fox_x2"}, {"resize_mode", 1}, {"upscaling_resize_w", 64}, {"upscaling_resize_h", 64}};
  const ResolvedRequest& cut = asked(to);
  EXPECT_EQ(size(cut), Size(64, 64));
  EXPECT_EQ(cut.resize_mode, ResizeMode::kCrop);
  JsonObject whole = to;
  whole["upscaling_crop"] = false;
  EXPECT_EQ(size(asked(whole)), Size(85, 64));
  const ResolvedRequest& two =
      asked({{"upscaler_1", "fox_x2"}, {"upscaler_2", "Bicubic"}, {"extras_upscaler_2_visibility", 0.25}});
  EXPECT_EQ(two.enlargement->second->name, "bicubic");
  EXPECT_EQ(two.enlargement->second_part, 0.25f);
  EXPECT_FALSE(asked({{"upscaler_1", "fox_x2"}, {"upscaler_2", "Bicubic"}}).enlargement->second.has_value());
  // A worker makes of it what the gateway has.
  ModelTraits traits = server.service.card.traits;
  EXPECT_EQ(resolve(two.said(), traits).said(), two.said());
}

TEST(Extras, answer_as_there) {
  UpscalerServer server;
  const auto single = server.ask(extras({{"upscaler_1", "fox_x2"}}));
  EXPECT_FALSE(single->answer);
  server.service.finish_all();
  const Json one = single->json();
  EXPECT_EQ(one.at("image"), Json(base64("image 0")));
  EXPECT_TRUE(one.at("html_info").is_string());
  const JsonObject first{{"data", picture(8, 8)}, {"name", "a.png"}},
      second{{"data", picture(16, 8)}, {"name", "b.png"}};
  const auto batch =
      server.ask({"POST", "/sdapi/v1/extra-batch-images",
                  json_text(JsonObject{{"upscaler_1", "Lanczos"}, {"imageList", JsonArray{first, second}}})});
  ASSERT_EQ(server.service.last().order.images.size(), 2u);
  EXPECT_EQ(server.service.last().order.images.at(1)->width, 32);
  server.service.finish_all();
  EXPECT_EQ(batch->json().at("images").as_array().size(), 2u);
  EXPECT_EQ(batch->json().at("images").at(1), Json(base64("image 1")));
}

TEST(Extras, keep_what_the_picture_was_drawn_by) {
  UpscalerServer server;
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg}) {
    const Image image{16, 16, std::vector<uint8_t>(768, 90)};
    server.ask(
        extras({{"upscaler_1", "fox_x2"}, {"image", base64(image_file(image, format, 90, "a <fox>\nSteps: 4"))}}));
    EXPECT_EQ(server.service.last().order.kept_parameters.at(0), "a <fox>\nSteps: 4");
  }
}

TEST(Extras, that_cannot_be_are_refused_by_name_and_nothing_is_queued) {
  UpscalerServer server;
  server.service.card.limits.max_pixels = 10000;
  const auto refused = [&](const Ask& ask, unsigned status, const std::string& word) {
    const auto exchange = server.ask(ask);
    ASSERT_TRUE(exchange->answer) << word;
    EXPECT_EQ(exchange->answer->status, status) << exchange->answer->body;
    EXPECT_THAT(exchange->answer->body, HasSubstr(word));
  };
  refused(extras({{"upscaler_1", "R-ESRGAN 2x+"}}), 400, "upscaler_1");
  refused(extras({{"upscaler_1", "4x-UltraSharp"}}), 400, "fox_x2");
  refused(extras({{"upscaler_1", "Latent"}}), 400, "enlarges latents");
  refused(extras({{"upscaler_1", "fox_x2"}, {"upscaler_2", "nope"}, {"extras_upscaler_2_visibility", 1}}), 400,
          "upscaler_2");
  refused(extras({{"upscaler_1", "fox_x2"}, {"gfpgan_visibility", 0.5}}), 422, "gfpgan_visibility");
  refused(extras({{"upscaler_1", "fox_x2"}, {"codeformer_visibility", 1}}), 422, "codeformer_visibility");
  refused(extras({{"upscaler_1", "fox_x2"}, {"upscaling_resize", 4}}), 400, "160x120");
  refused(extras({{"upscaler_1", "fox_x2"}, {"upscaling_resize", 9}}), 400, "upscaling_resize");
  refused(extras({{"upscaler_1", "fox_x2"}, {"image", base64("no picture")}}), 400, "image");
  refused(extras({{"upscaler_1", "fox_x2"}, {"image", ""}}), 400, "image");
  refused({"POST", "/sdapi/v1/extra-batch-images", R"({"imageList": []})"}, 400, "imageList");
  refused({"POST", "/sdapi/v1/extra-batch-images", R"({"imageList": ["x"]})"}, 400, "imageList");
  // A picture that a network would be given, larger than its memory was planned for.
  const JsonObject small{{"upscaler_1", "fox_x2"},
                         {"resize_mode", 1},
                         {"upscaling_resize_w", 8},
                         {"upscaling_resize_h", 8},
                         {"image", picture(200, 200)}};
  refused(extras(small), 400, "200x200");
  EXPECT_TRUE(server.service.orders.empty());
}

TEST(Extras, fields_are_no_part_of_our_own_routes) {
  UpscalerServer server;
  EXPECT_EQ(server.ask({"POST", "/generate", R"({"prompt": "p", "upscaler": "fox_x2"})"})->answer->status, 400u);
  EXPECT_TRUE(server.service.orders.empty());
}

}  // namespace
}  // namespace inkstone::serve
