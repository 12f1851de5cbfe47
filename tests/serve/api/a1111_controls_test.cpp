// ControlNet's units in AUTOMATIC1111's requests, and the lists of its extension.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/json.h"
#include "serve/api/pictures.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

struct ControlServer : PictureServer {
  std::shared_ptr<FakeExchange> ask_with(const JsonArray& units, const std::string& script = "ControlNet",
                                         JsonObject body = {}, const std::string& route = "txt2img") {
    body["prompt"] = "p";
    body["alwayson_scripts"] = JsonObject{{script, JsonObject{{"args", units}}}};
    return ask(json("/sdapi/v1/" + route, body));
  }
};

GivenFile hint(int width) { return given_file(picture(width), ""); }

TEST(A1111Controls, units_reach_the_image_in_their_order) {
  ControlServer server;
  const auto exchange = server.ask_with(
      {JsonObject{{"enabled", true},
                  {"module", "None"},
                  {"model", "edges [0123abcd]"},
                  {"weight", 0.5},
                  {"image", "data:image/png;base64," + base64(picture(64))},
                  {"guidance_start", 0.25},
                  {"guidance_end", 0.75},
                  {"control_mode", "Balanced"},
                  {"mask", ""},
                  {"pixel_perfect", true}},
       JsonObject{{"model", "sketch"}, {"input_image", base64(picture(72))}},
       JsonObject{{"model", "edges"}, {"control_mode", 0}, {"image", JsonObject{{"image", base64(picture(80))}}}}},
      "controlnet");
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  const auto& controls = server.asked().controls;
  ASSERT_EQ(controls.size(), 3u);
  EXPECT_EQ(controls[0].use, (ControlUse{"edges", hint(64), 0.5f, 0.25f, 0.75f}));
  EXPECT_EQ(controls[1].use, (ControlUse{"sketch", hint(72)}));
  EXPECT_EQ(controls[2].use, (ControlUse{"edges", hint(80)}));
}

TEST(A1111Controls, a_unit_without_an_image_takes_img2imgs) {
  for (const Json& none : {Json(nullptr), Json(""), Json(JsonObject{{"image", ""}})}) {
    ControlServer server;
    const auto exchange = server.ask_with({JsonObject{{"model", "edges"}, {"image", none}}}, "ControlNet",
                                          {{"init_images", JsonArray{base64(picture(72, 64))}}}, "img2img");
    ASSERT_FALSE(exchange->answer) << exchange->answer->body;
    ASSERT_EQ(server.asked().controls.size(), 1u);
    EXPECT_EQ(server.asked().controls[0].use.image, *server.asked().image);
  }
}

TEST(A1111Controls, what_is_off_is_passed_over) {
  ControlServer server;
  const JsonObject off{{"enabled", false}, {"module", "canny"}};
  const auto exchange =
      server.ask_with({off, nullptr, false, JsonObject{{"model", "edges"}, {"image", base64(picture())}}});
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  EXPECT_EQ(server.asked().controls.size(), 1u);
  ASSERT_FALSE(server.ask_with({off, false}, "ADetailer")->answer);
  EXPECT_TRUE(server.asked().controls.empty());
}

TEST(A1111Controls, what_is_not_here_is_refused_by_name) {
  struct Row {
    JsonObject unit;  // besides a model and an image
    int status;
    const char* says;
  };
  for (const Row& row : std::vector<Row>{{{{"module", "canny"}}, 422, "ControlNet: module canny is not here"},
                                         {{{"module", 3}}, 400, "a text"},
                                         {{{"control_mode", 1}}, 422, "control_mode 1 is not here"},
                                         {{{"control_mode", "ControlNet is more important"}}, 422, "control_mode"},
                                         {{{"mask", base64(picture())}}, 422, "ControlNet: mask is not supported"},
                                         {{{"mask_image", base64(picture())}}, 422, "mask_image is not supported"},
                                         {{{"effective_region_mask", "A"}}, 422, "effective_region_mask is not"},
                                         {{{"model", nullptr}}, 422, "a unit names no model"},
                                         {{{"model", "None"}}, 422, "a unit names no model"},
                                         {{{"model", "depth"}}, 400, "edges, sketch"},
                                         {{{"image", nullptr}}, 422, "a unit has no image"},
                                         {{{"image", "http://169.254.169.254/a.png"}}, 400, "no URL is fetched"},
                                         {{{"image", "%%%"}}, 400, "base64"},
                                         {{{"weight", -1}}, 400, "weight"},
                                         {{{"guidance_start", 1.5}}, 400, "guidance_start"},
                                         {{{"guidance_end", "x"}}, 400, "guidance_end"}}) {
    ControlServer server;
    JsonObject unit{{"model", "edges"}, {"image", base64(picture())}};
    for (const auto& [name, value] : row.unit) unit[name] = value;
    const auto exchange = server.ask_with({unit});
    ASSERT_TRUE(exchange->answer) << json_text(row.unit);
    EXPECT_EQ(exchange->answer->status, row.status) << exchange->answer->body;
    EXPECT_THAT(exchange->answer->body, HasSubstr(row.says));
    EXPECT_TRUE(server.service.orders.empty());
  }
}

TEST(A1111Controls, scripts_of_another_form_are_refused) {
  ControlServer server;
  EXPECT_THAT(server.refusal(json("/sdapi/v1/txt2img", {{"prompt", "p"}, {"alwayson_scripts", JsonArray{}}}), 400),
              HasSubstr("an object"));
  const auto strange = server.ask_with({"edges"});
  ASSERT_TRUE(strange->answer);
  EXPECT_EQ(strange->answer->status, 400);
  EXPECT_THAT(strange->answer->body, HasSubstr("units of ControlNet, as objects"));
  const auto other = server.ask_with({JsonObject{{"model", "edges"}}}, "ADetailer");
  ASSERT_TRUE(other->answer);
  EXPECT_EQ(other->answer->status, 422);
  EXPECT_THAT(other->answer->body, HasSubstr("ADetailer is not here"));
}

TEST(A1111Controls, lists_have_the_models_controls_and_no_preprocessor) {
  FakeServer server;
  const auto list = [&](const std::string& name) { return server.ask({"GET", "/controlnet/" + name})->json(); };
  EXPECT_EQ(list("model_list"), Json(JsonObject{{"model_list", JsonArray{"edges", "sketch"}}}));
  EXPECT_EQ(list("module_list").at("module_list"), Json(JsonArray{"none"}));
  EXPECT_EQ(list("version"), Json(JsonObject{{"version", 3}}));
  server.service.card.traits.controls.clear();
  EXPECT_EQ(list("model_list"), Json(JsonObject{{"model_list", JsonArray{}}}));
}

}  // namespace
}  // namespace inkstone::serve
