// The operator's upscalers in requests and lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  for (const auto& [name, network] : {std::pair("fox_x2", 1), {"R-ESRGAN 4x+", 0}, {"RealESRGAN_x4plus", 0},
                                      {"None", -1}, {"Latent", -1}}) {
    const ResolvedRequest& drawn =
        server.drawn("/sdapi/v1/txt2img", R"({"prompt": "p", "width": 64, "height": 64, "enable_hr": true, "hr_upscaler": ")" +
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

}  // namespace
}  // namespace inkstone::serve
