// OpenAI's images: requests as its clients send them, answers, streams and errors as they read
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/image.h"
#include "fakes.h"
#include "serve/api/openai_request.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

Ask images(const std::string& body) { return {"POST", "/v1/images/generations", body}; }

TEST(OpenAi, answers_base64_where_it_is_asked_for) {
  FakeServer server;
  const auto exchange = server.ask(images(R"({"prompt": "p", "response_format": "b64_json", "n": 2, "seed": 3,
      "size": "256x512", "model": "demo"})"));
  EXPECT_EQ(server.service.last().order.images[1]->seed, 4u);
  EXPECT_EQ(server.service.last().order.images[0]->width, 256);
  EXPECT_EQ(server.service.last().order.images[0]->height, 512);
  server.service.finish_all();
  const JsonObject json = exchange->json().as_object();
  EXPECT_EQ(json.at("created").as_int64(), 1700000001);
  ASSERT_EQ(json.at("data").as_array().size(), 2u);
  EXPECT_EQ(json.at("data").at(1).at("b64_json").as_string(), base64("image 1"));
  EXPECT_FALSE(json.at("data").at(0).as_object().contains("url"));
  EXPECT_EQ(json.at("size").as_string(), "256x512");
  EXPECT_EQ(json.at("output_format").as_string(), "png");
}

TEST(OpenAi, answers_links_by_default_that_nobody_can_guess) {
  FakeServer server;
  Ask ask = images(R"({"prompt": "p", "n": 2, "output_format": "jpeg", "output_compression": 0})");
  ask.headers = {{"host", "box:8080"}};
  const auto exchange = server.ask(ask);
  EXPECT_EQ(server.service.last().order.quality, 1);
  server.service.finish_all();
  const std::string url(exchange->json().at("data").at(1).at("url").as_string());
  EXPECT_THAT(url, testing::MatchesRegex("http://box:8080/v1/files/img/[0-9a-f]{32}\\.jpeg"));
  const std::string path = url.substr(std::string("http://box:8080").size());
  EXPECT_TRUE(server.router.match("GET", path).route->open) << "who follows a link has no key";
  const auto image = server.ask({"GET", path, "", {}, {}, "ip:10.0.0.1"});
  EXPECT_EQ(image->answer->body, "image 1");
  EXPECT_EQ(image->answer->content_type, "image/jpeg");
  const auto guessed = server.ask({"GET", "/v1/files/img/" + std::string(32, '0') + ".jpeg"});
  EXPECT_EQ(guessed->answer->status, 404);
  server.service.orders.clear();  // forgotten
  EXPECT_EQ(server.ask({"GET", path})->answer->status, 404);
}

TEST(OpenAi, every_field_of_the_table_is_taken_and_so_are_nulls) {
  for (const FieldInfo& field : openai_fields()) {
    for (const std::string& value : {std::string(field.example), std::string("null")}) {
      if (field.name == "prompt" && value == "null") continue;
      FakeServer server;
      std::string body = "{\"" + std::string(field.name) + "\": " + value;
      if (field.name != "prompt") body += R"(, "prompt": "x")";
      if (field.name == "mask" && value != "null") body += ", \"image\": " + value;
      const auto exchange = server.ask(images(body + "}"));
      EXPECT_FALSE(exchange->answer) << field.name << exchange->answer->body;
    }
  }
}

TEST(OpenAi, the_model_goes_by_the_operators_names_too) {
  FakeServer server;
  server.settings.model_aliases = {"gpt-image-1", "dall-e-3"};
  for (const std::string model : {"demo", "", "dall-e-3", "gpt-image-1"}) {
    const auto exchange = server.ask(images(R"({"prompt": "p", "model": ")" + model + "\"}"));
    ASSERT_FALSE(exchange->answer) << model << exchange->answer->body;
    server.service.finish_all();
    const JsonObject one = exchange->json().at("data").at(0).as_object();
    EXPECT_EQ(one.contains("b64_json"), model == "gpt-image-1") << "its clients read nothing else";
  }
  EXPECT_EQ(server.ask({"GET", "/v1/models/dall-e-3"})->answer->status, 200);
  EXPECT_EQ(server.ask(images(R"({"prompt": "p", "model": "dall-e-2"})"))->answer->status, 404);
}

TEST(OpenAi, empty_texts_are_not_there_and_numbers_may_be_texts) {
  FakeServer server;
  const auto exchange = server.ask(images(R"({"prompt": "p", "quality": "", "style": "", "output_format": "",
      "response_format": "", "n": "2", "input_fidelity": "low", "moderation": "any"})"));
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  EXPECT_EQ(server.service.last().order.images.size(), 2u);
  EXPECT_EQ(server.ask(images(R"({"prompt": ""})"))->answer->status, 400);
}

TEST(OpenAi, without_a_seed_one_is_drawn) {
  FakeServer server;
  server.ask(images(R"({"prompt": "p"})"));
  const uint64_t first = server.service.last().order.images[0]->seed;
  server.ask(images(R"({"prompt": "p"})"));
  EXPECT_NE(first, server.service.last().order.images[0]->seed);
}

TEST(OpenAi, errors_have_all_four_keys) {
  struct Row {
    std::string body;
    int status;
    std::string type, param, code;
  };
  for (const Row& row : std::vector<Row>{
           {R"({})", 400, "invalid_request_error", "prompt", "missing_required_parameter"},
           {R"({"prompt": null})", 400, "invalid_request_error", "prompt", "missing_required_parameter"},
           {R"({"prompt": "p")", 400, "invalid_request_error", "", "invalid_json"},
           {R"({"prompt": "p", "foo": 1})", 400, "invalid_request_error", "foo", "unknown_parameter"},
           {R"({"prompt": "p", "n": 17})", 400, "invalid_request_error", "n", "invalid_value"},
           {R"({"prompt": "p", "size": "512"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": ""})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": "512x"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": "x512"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": "512x512x512"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": "99999999999x1"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": "-512x512"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "size": "500x512"})", 400, "invalid_request_error", "size", "invalid_value"},
           {R"({"prompt": "p", "background": "transparent"})", 400, "invalid_request_error", "background",
            "invalid_value"},
           {R"({"prompt": "p", "partial_images": 4})", 400, "invalid_request_error", "partial_images", "invalid_value"},
           {R"({"prompt": "p", "steps": 4, "num_inference_steps": 4})", 400, "invalid_request_error", "steps",
            "invalid_value"},
           {R"({"prompt": "p", "model": "dall-e-9"})", 404, "invalid_request_error", "model", "model_not_found"},
           {R"({"prompt": "p", "model": "../../etc"})", 404, "invalid_request_error", "model", "model_not_found"},
       }) {
    FakeServer server;
    const auto exchange = server.ask(images(row.body));
    ASSERT_TRUE(exchange->answer) << row.body;
    EXPECT_EQ(exchange->answer->status, row.status) << row.body;
    const JsonObject error = exchange->json().at("error").as_object();
    EXPECT_EQ(error.size(), 4u);
    EXPECT_EQ(error.at("type").as_string(), row.type);
    EXPECT_EQ(error.at("code").as_string(), row.code) << row.body;
    EXPECT_EQ(error.at("param"), row.param.empty() ? Json(nullptr) : Json(row.param)) << row.body;
    EXPECT_TRUE(error.at("message").is_string());
  }
}

TEST(OpenAi, says_what_is_worth_trying_again) {
  FakeServer server;
  server.service.rejection = Rejection{"queue_full", "full", "", 3};
  const auto full = server.ask(images(R"({"prompt": "p"})"));
  EXPECT_EQ(full->answer->status, 429);
  EXPECT_EQ(full->json().at("error").at("type").as_string(), "rate_limit_error");
  EXPECT_EQ(full->header("retry-after"), "3");
  EXPECT_EQ(full->header("x-should-retry"), "");
  server.service.rejection.reset();
  const auto failed = server.ask(images(R"({"prompt": "p"})"));
  server.service.fail(0, "nan_output");
  EXPECT_EQ(failed->answer->status, 500);
  EXPECT_EQ(failed->header("x-should-retry"), "false");
  EXPECT_EQ(failed->json().at("error").at("type").as_string(), "server_error");
}

TEST(OpenAi, streams_partial_images_of_the_images_size) {
  FakeServer server;
  const auto exchange = server.ask(images(
      R"({"prompt": "p", "stream": true, "partial_images": 2, "num_inference_steps": 9, "size": "64x128", "response_format": "url"})"));
  EXPECT_TRUE(server.service.last().order.previews);
  EXPECT_TRUE(exchange->streaming);
  for (int i = 0; i < 9; ++i) server.service.step(0, 1, true);
  const auto partials = exchange->events("image_generation.partial_image");
  ASSERT_EQ(partials.size(), 2u) << "after 3 and 6 of 9 calls";
  EXPECT_EQ(partials[1].at("type").as_string(), "image_generation.partial_image");
  EXPECT_EQ(partials[1].at("partial_image_index").as_int64(), 1);
  EXPECT_EQ(partials[1].at("size").as_string(), "64x128");
  const std::string png = *unbase64(partials[0].at("b64_json").as_string());
  const DecodedPng decoded = decode_png(std::as_bytes(std::span(png)));
  EXPECT_EQ(decoded.image.width, 64);
  EXPECT_EQ(decoded.image.height, 128);
  server.service.finish_all();
  const auto completed = exchange->events("image_generation.completed");
  ASSERT_EQ(completed.size(), 1u);
  EXPECT_EQ(completed[0].at("b64_json").as_string(), base64("image 0"));
  EXPECT_EQ(completed[0].at("type").as_string(), "image_generation.completed");
  for (const char* key : {"created_at", "size", "quality", "background", "output_format", "usage"})
    EXPECT_TRUE(completed[0].as_object().contains(key)) << key;
  EXPECT_TRUE(exchange->ended);
}

TEST(OpenAi, an_image_of_two_legs_has_the_larger_size_and_previews_of_both) {
  FakeServer server;
  const auto exchange = server.ask(images(
      R"({"prompt": "p", "stream": true, "partial_images": 1, "num_inference_steps": 9, "size": "64x128", "hires": 1.5})"));
  Image larger{12, 24, std::vector<uint8_t>(3 * 12 * 24, 7)};  // of the second leg, 96x192: 64 is no multiple of 12
  server.service.step(0, 1, true);
  server.service.last().images[0].preview = std::make_shared<Image>(larger);
  server.service.last().images[0].preview_call = 99;
  server.service.step(0, 1, false);
  const auto partials = exchange->events("image_generation.partial_image");
  ASSERT_EQ(partials.size(), 1u);
  const std::string png = *unbase64(partials[0].at("b64_json").as_string());
  EXPECT_EQ(decode_png(std::as_bytes(std::span(png))).image.width, 60);
  server.service.finish_all();
  EXPECT_EQ(exchange->events("image_generation.completed").at(0).at("size").as_string(), "96x192");
}

TEST(OpenAi, a_stream_that_fails_says_so_and_one_that_is_left_is_cancelled) {
  FakeServer server;
  const auto failed = server.ask(images(R"({"prompt": "p", "stream": true})"));
  server.service.fail(0, "worker_died");
  ASSERT_EQ(failed->events("error").size(), 1u);
  EXPECT_EQ(failed->events("error")[0].at("error").at("code").as_string(), "worker_died");
  EXPECT_TRUE(failed->ended);
  const auto left = server.ask(images(R"({"prompt": "p", "stream": true})"));
  left->disconnect();
  EXPECT_EQ(server.service.last().images[0].stage, Stage::kCancelled);
  EXPECT_EQ(left.use_count(), 1);
}

TEST(OpenAi, lists_the_one_model) {
  FakeServer server;
  const Json list = server.ask({"GET", "/v1/models"})->json();
  EXPECT_EQ(list.at("object").as_string(), "list");
  EXPECT_EQ(list.at("data").at(0).at("id").as_string(), "demo");
  EXPECT_EQ(server.ask({"GET", "/v1/models/demo"})->json(), list.at("data").at(0));
  const auto other = server.ask({"GET", "/v1/models/other"});
  EXPECT_EQ(other->answer->status, 404);
  EXPECT_EQ(other->json().at("error").at("code").as_string(), "model_not_found");
  server.service.ready = false;
  EXPECT_EQ(server.ask({"GET", "/v1/models"})->answer->status, 503);
}

}  // namespace
}  // namespace inkstone::serve
