// POST /generate: what it takes, what it refuses and how it answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "fakes.h"
#include "serve/api/generate_request.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

Ask generate(const std::string& body) { return {"POST", "/generate", body}; }

TEST(Generate, query_parameters_are_enough_and_a_seed_is_drawn) {
  FakeServer server;
  const auto exchange = server.ask({"POST", "/generate", "", {{"prompt", "a fox"}, {"num_inference_steps", "4"}}});
  ASSERT_FALSE(exchange->answer);
  const uint64_t seed = server.service.last().order.images[0]->seed;
  EXPECT_LE(seed, UINT32_MAX);
  EXPECT_EQ(server.service.last().order.images[0]->steps, 4);
  EXPECT_FALSE(server.service.last().order.stays);
  server.service.step();
  EXPECT_FALSE(exchange->answer);
  server.service.finish_all();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 200);
  const JsonObject json = exchange->json().as_object();
  EXPECT_EQ(json.at("image").as_string(), "data:image/png;base64," + base64("image 0"));
  EXPECT_EQ(json.at("seed").to_number<uint64_t>(), seed);
  EXPECT_EQ(json.at("parameters").at("scheduler").as_string(), "pndm");
  EXPECT_EQ(json.at("parameters").at("num_inference_steps").as_int64(), 4);
  EXPECT_EQ(json.at("timings").at("total").as_double(), 4);
  EXPECT_EQ(json.at("id").as_string(), server.service.last().id);
  EXPECT_FALSE(json.contains("images"));
  EXPECT_TRUE(server.service.watchers.empty());
}

TEST(Generate, every_field_of_the_table_is_taken) {
  for (const FieldInfo& field : generate_fields()) {
    FakeServer server;
    std::string body = "{\"" + std::string(field.name) + "\": " + std::string(field.example);
    if (field.name != "prompt") body += R"(, "prompt": "x")";
    if (field.name == "mask") body += ", \"image\": " + std::string(field.example);
    if (field.name == "karras") body += R"(, "scheduler": "euler")";
    const auto exchange = server.ask(generate(body + "}"));
    EXPECT_TRUE(!exchange->answer || exchange->answer->status < 300) << field.name << exchange->answer->body;
  }
}

TEST(Generate, fields_reach_the_image) {
  FakeServer server;
  server.ask(generate(R"({"prompt": "p", "negative_prompt": "n", "seed": 18446744073709551615, "num_inference_steps": 7,
    "guidance_scale": 3.5, "width": 768, "height": 256, "scheduler": "DPMSolverMultistepScheduler", "karras": true,
    "output_format": "webp", "quality": 80, "priority": "high", "deadline_ms": 2500, "previews": true})"));
  const Order& order = server.service.last().order;
  ImageRequest expected;
  expected.prompt = "p";
  expected.negative_prompt = "n";
  expected.prompt_syntax = "a1111";
  expected.clip_skip = 1;
  expected.seed = UINT64_MAX;
  expected.steps = 7;
  expected.guidance_scale = 3.5f;
  expected.guidance_rescale = 0;
  expected.scheduler = "dpm++-2m";
  expected.schedule = "karras";
  expected.karras = true;
  expected.eta = 0;
  expected.width = 768;
  expected.height = 256;
  expected.cache_interval = 1;
  expected.guidance_interval = Interval{};
  ASSERT_EQ(order.images.size(), 1u);
  EXPECT_EQ(order.images[0]->said(), expected);
  EXPECT_EQ(order.format, ImageFormat::kWebp);
  EXPECT_EQ(order.quality, 80);
  EXPECT_EQ(order.priority, Priority::kHigh);
  EXPECT_EQ(order.deadline, 2.5);
  EXPECT_TRUE(order.previews);
  EXPECT_EQ(order.api, "generate");
}

TEST(Generate, links_begin_with_the_path_below_which_a_client_sees_the_server) {
  FakeServer server;
  const std::string prefix = "/ink", client = "ip:127.0.0.1";
  const auto asked = server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})", {}, {}, client, prefix});
  const std::string id = server.service.last().id;
  EXPECT_EQ(asked->header("location"), "/ink/jobs/" + id);
  const auto events = server.ask({"GET", "/jobs/" + id + "/events", "", {}, {}, client, prefix});
  server.service.finish_all();
  const std::string url = "/ink/jobs/" + id + "/images/0";
  EXPECT_EQ(events->events("image").at(0).at("url").as_string(), url);
  const auto job = server.ask({"GET", "/jobs/" + id, "", {}, {}, client, prefix});
  EXPECT_EQ(job->json().at("images").at(0).at("url").as_string(), url);
  server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})", {}, {}, client, prefix});
  const auto list = server.ask({"GET", "/jobs", "", {{"limit", "1"}}, {}, client, prefix});
  EXPECT_TRUE(list->json().at("next").as_string().starts_with("/ink/jobs?limit=1&before="));
}

TEST(Generate, several_images_have_seeds_that_follow_and_come_together) {
  FakeServer server;
  const auto exchange = server.ask(generate(R"({"prompt": "p", "seed": 5, "num_images_per_prompt": 3})"));
  server.service.finish(2, "c");
  server.service.finish(0, "a");
  EXPECT_FALSE(exchange->answer);
  server.service.finish(1, "b");
  const JsonObject json = exchange->json().as_object();
  EXPECT_EQ(json.at("images").as_array().size(), 3u);
  EXPECT_EQ(json.at("images").at(0), json.at("image"));
  EXPECT_EQ(json.at("images").at(2).as_string(), "data:image/png;base64," + base64("c"));
  EXPECT_EQ(json.at("seeds"), (JsonArray{5, 6, 7}));
}

TEST(Generate, a_drawn_seed_is_told) {
  for (const char* seed : {"-1", "\"random\""}) {
    FakeServer server;
    server.ask(generate("{\"prompt\": \"p\", \"seed\": " + std::string(seed) + "}"));
    EXPECT_LE(server.service.last().order.images[0]->seed, UINT32_MAX);
  }
}

struct Fault {
  std::string body;
  int status;
  std::string code, field, says;
};

TEST(Generate, faults_name_the_field_the_value_and_what_is_allowed) {
  const std::string deep = "{\"prompt\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  const std::vector<Fault> faults{
      {R"({})", 400, "missing_parameter", "prompt", "say what to draw"},
      {R"([])", 400, "invalid_json", "", "must be a JSON object"},
      {R"({"prompt": "p",})", 400, "invalid_json", "", "body:1:"},
      {R"({"prompt": "p"} x)", 400, "invalid_json", "", "body:1:"},
      {"\xef\xbb\xbf{\"prompt\": \"p\"}", 400, "invalid_json", "", "byte order mark"},
      {R"({"prompt": "a", "prompt": "b"})", 400, "invalid_json", "", "prompt"},
      {"{\"prompt\": \"\xff\"}", 400, "invalid_json", "", "body:1:"},
      {R"({"prompt": "\ud800"})", 400, "invalid_json", "", "body:1:"},
      {deep, 400, "invalid_json", "", "body:1:"},
      {R"({"prompt": "p", "seed": NaN})", 400, "invalid_json", "", "body:1:"},
      {R"({"prompt": "p", "sede": 3, "stepz": 1})", 400, "unknown_parameter", "sede",
       "\"sede\" (did you mean \"seed\"?), \"stepz\""},
      {R"({"prompt": "p", "steps": 3})", 400, "unknown_parameter", "steps", "num_inference_steps"},
      {R"({"prompt": null})", 400, "invalid_value", "prompt", "null"},
      {R"({"prompt": 7})", 400, "invalid_value", "prompt", "7; it must be a text"},
      {R"({"prompt": ["p"]})", 400, "invalid_value", "prompt", "an array; it must be a text"},
      {"{\"prompt\": \"" + std::string(16385, 'a') + "\"}", 400, "invalid_value", "prompt",
       "16385 bytes; at most 16384"},
      {R"({"prompt": "p", "seed": "7"})", 400, "invalid_value", "seed", "\"7\"; it must be a whole number"},
      {R"({"prompt": "p", "seed": -2})", 400, "invalid_value", "seed", "-2"},
      {R"({"prompt": "p", "seed": 1.5})", 400, "invalid_value", "seed", "whole number from 0 to 18446744073709551615"},
      {R"({"prompt": "p", "seed": 18446744073709551616})", 400, "invalid_value", "seed", "whole number"},
      {R"({"prompt": "p", "seed": 1e999})", 400, "", "", ""},
      {R"({"prompt": "p", "seed": true})", 400, "invalid_value", "seed", "true; it must be"},
      {R"({"prompt": "p", "seed": 18446744073709551615, "num_images_per_prompt": 2})", 400, "invalid_value", "seed",
       "the last seed"},
      {R"({"prompt": "p", "num_inference_steps": 0})", 400, "invalid_value", "num_inference_steps",
       "0; it must be a whole number from 1 to 200"},
      {R"({"prompt": "p", "num_inference_steps": 1000000000})", 400, "invalid_value", "num_inference_steps",
       "from 1 to 200"},
      {R"({"prompt": "p", "guidance_scale": 1e300})", 400, "invalid_value", "guidance_scale", "a number from 0 to 100"},
      {R"({"prompt": "p", "guidance_scale": -1})", 400, "invalid_value", "guidance_scale", "a number from 0 to 100"},
      {R"({"prompt": "p", "guidance_scale": "inf"})", 400, "invalid_value", "guidance_scale", "a number"},
      {R"({"prompt": "p", "width": 0})", 400, "invalid_value", "width", "0; it must be a multiple of 8 from 8 to 2048"},
      {R"({"prompt": "p", "width": 2147483647})", 400, "invalid_value", "width", "from 8 to 2048"},
      {R"({"prompt": "p", "width": 65536, "height": 65536})", 400, "invalid_value", "width", "from 8 to 2048"},
      {R"({"prompt": "p", "height": -8})", 400, "invalid_value", "height", "-8"},
      {R"({"prompt": "p", "height": 500})", 400, "invalid_value", "height", "the nearest are 496 and 504"},
      {R"({"prompt": "p", "width": 2048, "height": 2048})", 400, "invalid_value", "width",
       "4194304 pixels; at most 1048576"},
      {R"({"prompt": "p", "scheduler": "eulr"})", 400, "invalid_value", "scheduler", "did you mean euler?"},
      {R"({"prompt": "p", "scheduler": "../etc/passwd"})", 400, "invalid_value", "scheduler", "one of pndm"},
      {R"({"prompt": "p", "karras": true})", 400, "invalid_value", "karras", "false with pndm"},
      {R"({"prompt": "p", "cache_interval": 3})", 400, "invalid_value", "cache_interval",
       "3; it must be 1, because the memory here is planned without approximations"},
      {R"({"prompt": "p", "cache_interval": "x"})", 400, "invalid_value", "cache_interval",
       "\"x\"; it must be a whole number from 1 to 1000"},
      {R"({"prompt": "p", "guidance_interval": [0, 0.5]})", 400, "invalid_value", "guidance_interval", "must be 0,1"},
      {R"({"prompt": "p", "guidance_interval": [0.5]})", 400, "invalid_value", "guidance_interval",
       "two numbers, as [0.1, 0.8]"},
      {R"({"prompt": "p", "guidance_interval": [1, 0]})", 400, "invalid_value", "guidance_interval", "FROM,TO"},
      {R"({"prompt": "p", "control": {"model": "edges"}})", 400, "invalid_value", "control", "a list of objects"},
      {R"({"prompt": "p", "control": [{"image": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC"}]})",
       400, "missing_parameter", "model", "the name of one"},
      {R"({"prompt": "p", "control": [{"model": "edges"}]})", 400, "missing_parameter", "image", "its hint in base64"},
      {R"({"prompt": "p", "control": [{"model": "edges", "image": "http://x/y.png"}]})", 400, "invalid_value", "image",
       "no URL is fetched here"},
      {R"({"prompt": "p", "control": [{"model": "pose", "image": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC"}]})",
       400, "invalid_value", "control", "there is no pose; there are edges, sketch"},
      {R"({"prompt": "p", "control": [{"model": "edges", "image": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC", "weight": 1}]})",
       400, "", "weight", "weight"},
      {R"({"prompt": "p", "control": [{"model": "sketch", "image": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC"}], "width": 520})",
       400, "invalid_value", "control", "sketch draws images whose sides are multiples of 64, not 520x512"},
      {R"({"prompt": "p", "eta": 0.5})", 400, "invalid_value", "eta", "0 with pndm; it can be more with ddim, tcd"},
      {R"({"prompt": "p", "num_images_per_prompt": 17})", 400, "invalid_value", "num_images_per_prompt",
       "from 1 to 16"},
      {R"({"prompt": "p", "output_format": "gif"})", 400, "invalid_value", "output_format", "one of png, jpeg, webp"},
      {R"({"prompt": "p", "priority": "urgent"})", 400, "invalid_value", "priority", "low, normal, high"},
      {R"({"prompt": "p", "deadline_ms": 0})", 400, "invalid_value", "deadline_ms", "from 1"},
      {R"({"prompt": "p", "previews": "yes"})", 400, "invalid_value", "previews", "true or false"},
  };
  for (const Fault& fault : faults) {
    FakeServer server;
    const auto exchange = server.ask(generate(fault.body));
    const std::string shown = fault.body.substr(0, 100);
    ASSERT_TRUE(exchange->answer) << shown;
    EXPECT_EQ(exchange->answer->status, fault.status) << shown;
    const JsonObject error = exchange->json().at("error").as_object();
    if (!fault.code.empty()) {
      EXPECT_EQ(error.at("code").as_string(), fault.code) << shown;
    }
    if (!fault.field.empty()) {
      EXPECT_EQ(error.at("param").as_string(), fault.field) << shown;
    }
    EXPECT_THAT(std::string(error.at("message").as_string()), HasSubstr(fault.says)) << shown;
    EXPECT_LE(error.at("message").as_string().size(), 800u) << shown;
    EXPECT_TRUE(server.service.orders.empty()) << shown;
  }
}

TEST(Generate, controls_reach_the_image) {
  FakeServer server;
  server.ask(generate(R"({"prompt": "p", "control_guess": true, "control": [
    {"model": "edges", "image": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC", "scale": 0.5, "start": 0.25, "end": 0.75},
    {"model": "sketch", "image": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC"}]})"));
  const ResolvedRequest& request = *server.service.last().order.images.at(0);
  EXPECT_TRUE(request.control_guess);
  ASSERT_EQ(request.controls.size(), 2u);
  const GivenFile hint = given_file(
      unbase64("iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC").value(),
      "");
  EXPECT_EQ(request.controls[0].use, (ControlUse{"edges", hint, 0.5f, 0.25f, 0.75f}));
  EXPECT_EQ(request.controls[1].use, (ControlUse{"sketch", hint}));
  EXPECT_EQ(request.controls[1].number, 1);
  EXPECT_EQ(request.controls[1].features, 4);
}

// A text of more than 64 KiB is taken out of the body before that is parsed.
TEST(Generate, a_controls_hint_may_be_large) {
  FakeServer server;
  Image noise{256, 256, {}};
  for (uint32_t i = 0, x = 1; i < 3 * 256 * 256; ++i)
    noise.rgb.push_back(static_cast<uint8_t>((x = x * 1664525 + 1) >> 24));
  const std::vector<std::byte> png = encode_png(noise);
  const std::string file(reinterpret_cast<const char*>(png.data()), png.size());
  ASSERT_GT(file.size(), size_t{100} << 10);
  server.ask(generate(R"({"prompt": "p", "control": [{"model": "edges", "image": ")" + base64(file) + "\"}]}"));
  ASSERT_FALSE(server.service.orders.empty());
  EXPECT_EQ(server.service.last().order.images.at(0)->controls.at(0).use.image, given_file(file, ""));
}

TEST(Generate, a_field_stands_once) {
  FakeServer server;
  const auto both = server.ask({"POST", "/generate", R"({"prompt": "p"})", {{"prompt", "q"}}});
  EXPECT_THAT(message_of(both->json()), HasSubstr("in the query and in the body"));
  const auto twice = server.ask({"POST", "/generate", "", {{"prompt", "q"}, {"prompt", "q"}}});
  EXPECT_THAT(message_of(twice->json()), HasSubstr("twice in the query"));
  const auto mixed = server.ask({"POST", "/generate", R"({"prompt": "p"})", {{"seed", "9"}, {"karras", "0"}}});
  EXPECT_FALSE(mixed->answer);
  EXPECT_EQ(server.service.last().order.images[0]->seed, 9u);
}

TEST(Generate, numbers_of_the_query_are_read_whole) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"seed", "0x10"},
                                                                                    {"seed", "+5"},
                                                                                    {"seed", " 5"},
                                                                                    {"seed", "18446744073709551616"},
                                                                                    {"width", "512px"},
                                                                                    {"guidance_scale", "inf"},
                                                                                    {"guidance_scale", "nan"},
                                                                                    {"guidance_scale", "7,5"},
                                                                                    {"previews", "maybe"}}) {
    FakeServer server;
    const auto exchange = server.ask({"POST", "/generate", "", {{"prompt", "p"}, {name, value}}});
    ASSERT_TRUE(exchange->answer) << name << value;
    EXPECT_EQ(exchange->answer->status, 400) << name << value;
  }
}

TEST(Generate, a_body_must_say_that_it_is_json) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/mixed", "application/jsonx"}) {
    FakeServer server;
    EXPECT_EQ(server.ask({"POST", "/generate", R"({"prompt": "p"})", {}, {{"content-type", type}}})->answer->status,
              415);
  }
  FakeServer server;
  const Ask good{"POST", "/generate", R"({"prompt": "p"})", {}, {{"content-type", "application/json; charset=utf-8"}}};
  EXPECT_FALSE(server.ask(good)->answer);
}

TEST(Generate, accept_chooses_the_answer) {
  struct Row {
    std::string accept;
    ImageFormat format;
    std::string type;
  };
  for (const Row& row : std::vector<Row>{{"image/png", ImageFormat::kPng, "image/png"},
                                         {"image/jpeg", ImageFormat::kJpeg, "image/jpeg"},
                                         {"text/html;q=0.9, image/webp", ImageFormat::kWebp, "image/webp"},
                                         {"*/*", ImageFormat::kPng, "application/json"},
                                         {"", ImageFormat::kPng, "application/json"},
                                         {"image/*", ImageFormat::kPng, "image/png"},
                                         {"application/json;q=0.1, image/png;q=0.5", ImageFormat::kPng, "image/png"}}) {
    FakeServer server;
    const auto exchange = server.ask({"POST", "/generate", "", {{"prompt", "p"}}, {{"accept", row.accept}}});
    EXPECT_EQ(server.service.last().order.format, row.format) << row.accept;
    server.service.finish_all();
    EXPECT_EQ(exchange->answer->content_type, row.type);
    if (row.type != "application/json") {
      EXPECT_EQ(exchange->answer->body, "image 0");
    }
    if (row.type != "application/json") {
      EXPECT_EQ(exchange->header("inkstone-seed"), std::to_string(server.service.last().order.images[0]->seed));
    }
  }
  FakeServer server;
  const auto none = server.ask({"POST", "/generate", "", {{"prompt", "p"}}, {{"accept", "text/html"}}});
  EXPECT_EQ(none->answer->status, 406);
  const auto two = server.ask(
      {"POST", "/generate", "", {{"prompt", "p"}, {"num_images_per_prompt", "2"}}, {{"accept", "image/png"}}});
  EXPECT_EQ(two->answer->status, 406);
  const auto other =
      server.ask({"POST", "/generate", "", {{"prompt", "p"}, {"output_format", "webp"}}, {{"accept", "image/png"}}});
  EXPECT_EQ(other->answer->status, 406);
}

TEST(Generate, refusals_of_the_desk_have_their_status) {
  struct Row {
    std::string code;
    int status;
  };
  for (const Row& row : std::vector<Row>{{"invalid", 400},
                                         {"conflict", 409},
                                         {"queue_full", 429},
                                         {"quota", 429},
                                         {"too_long", 503},
                                         {"deadline", 503},
                                         {"not_ready", 503},
                                         {"draining", 503}}) {
    FakeServer server;
    server.service.rejection = Rejection{row.code, "no", "width", row.status == 400 || row.status == 409 ? 0 : 7.2};
    const auto exchange = server.ask(generate(R"({"prompt": "p"})"));
    EXPECT_EQ(exchange->answer->status, row.status) << row.code;
    EXPECT_EQ(exchange->header("retry-after"), row.status == 400 || row.status == 409 ? "" : "8") << row.code;
  }
  FakeServer server;
  server.service.ready = false;
  EXPECT_EQ(server.ask(generate(R"({"prompt": "p"})"))->answer->status, 503);
  EXPECT_EQ(server.ask(generate(R"({"prompt": )"))->answer->status, 400);
}

TEST(Generate, failures_have_their_status) {
  struct Row {
    std::string code;
    int status;
  };
  for (const Row& row : std::vector<Row>{{"nan_output", 500},
                                         {"out_of_memory", 503},
                                         {"worker_died", 500},
                                         {"deadline", 504},
                                         {"shutting_down", 503},
                                         {"internal", 500},
                                         {"what", 500}}) {
    FakeServer server;
    const auto exchange = server.ask(generate(R"({"prompt": "p", "num_images_per_prompt": 2})"));
    server.service.finish(0, "a");
    EXPECT_FALSE(exchange->answer);
    server.service.fail(1, row.code);
    ASSERT_TRUE(exchange->answer);
    EXPECT_EQ(exchange->answer->status, row.status) << row.code;
    EXPECT_EQ(exchange->json().at("error").at("code").as_string(), row.code);
  }
}

TEST(Generate, a_client_that_leaves_gives_its_rows_back) {
  for (const std::string accept : {"application/json", "text/event-stream", "image/png"}) {
    FakeServer server;
    const auto exchange = server.ask({"POST", "/generate", "", {{"prompt", "p"}}, {{"accept", accept}}});
    server.service.step();
    exchange->disconnect();
    EXPECT_TRUE(server.service.watchers.empty());
    EXPECT_EQ(server.service.last().images[0].stage, Stage::kCancelled);
    EXPECT_EQ(exchange.use_count(), 1) << "somebody keeps it";
  }
}

TEST(Generate, the_same_idempotency_key_gets_the_same_images) {
  FakeServer server;
  const Ask ask{"POST", "/generate", R"({"prompt": "p"})", {}, {{"idempotency-key", "k1"}}};
  const auto first = server.ask(ask), meanwhile = server.ask(ask);
  EXPECT_EQ(server.service.orders.size(), 1u);
  server.service.finish_all();
  const auto later = server.ask(ask);
  EXPECT_EQ(first->answer->body, meanwhile->answer->body);
  EXPECT_EQ(first->answer->body, later->answer->body);
  EXPECT_EQ(later->header("idempotent-replayed"), "true");
  const Ask bad{"POST", "/generate", R"({"prompt": "p"})", {}, {{"idempotency-key", "a\tb"}}};
  EXPECT_EQ(server.ask(bad)->answer->status, 400);
}

TEST(Generate, an_answer_that_is_being_read_is_not_made_again) {
  for (const char* path : {"/generate", "/v1/images/generations", "/sdapi/v1/txt2img"}) {
    FakeServer server;
    const Ask ask{"POST", path, R"({"prompt": "p", "seed": 1})", {}, {{"idempotency-key", "k1"}}};
    server.ask(ask);
    server.service.finish_all();
    const auto first = server.ask(ask);
    ASSERT_TRUE(first->sent) << path;
    for (int i = 0; i < 100; ++i) EXPECT_EQ(server.ask(ask)->sent, first->sent) << path;
    const std::string text = *first->sent;
    first->sent.reset();
    EXPECT_EQ(*server.ask(ask)->sent, text) << path << ", made anew";
  }
}

TEST(Generate, an_images_bytes_are_sent_as_they_are_kept) {
  FakeServer server;
  server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})"});
  server.service.finish_all();
  EXPECT_EQ(server.ask({"GET", "/jobs/" + server.service.last().id + "/images/0"})->sent,
            server.service.last().images[0].file);
}

TEST(GenerateEvents, tell_steps_previews_images_and_the_end) {
  FakeServer server;
  const auto exchange = server.ask(
      {"POST", "/generate", "", {{"prompt", "p"}, {"scheduler", "ddim"}}, {{"accept", "text/event-stream"}}});
  EXPECT_TRUE(server.service.last().order.previews);
  ASSERT_TRUE(exchange->streaming);
  EXPECT_EQ(exchange->answer->content_type, "text/event-stream");
  EXPECT_EQ(exchange->header("cache-control"), "no-store");
  EXPECT_EQ(exchange->events("queued").size(), 1u);
  server.service.step(0, 1, true);
  server.service.step(0, 1);
  exchange->waiting = 1 << 20;
  server.service.step(0, 1, true);
  EXPECT_EQ(exchange->events("step").size(), 3u);
  EXPECT_EQ(exchange->events("step")[2].at("step").as_int64(), 3);
  EXPECT_EQ(exchange->events("step")[2].at("steps").as_int64(), 20);
  ASSERT_EQ(exchange->events("preview").size(), 1u) << "a slow client gets none";
  EXPECT_TRUE(exchange->events("preview")[0].at("image").as_string().starts_with("data:image/png;base64,"));
  server.service.finish_all();
  ASSERT_EQ(exchange->events("image").size(), 1u);
  EXPECT_EQ(exchange->events("image")[0].at("image").as_string(), "data:image/png;base64," + base64("image 0"));
  EXPECT_EQ(exchange->events("done").size(), 1u);
  EXPECT_TRUE(exchange->ended);
}

// PNDM makes 20 steps in 21 evaluations of the U-Net, of which the first two are the first step.
TEST(GenerateEvents, count_the_steps_that_were_asked_for) {
  FakeServer server;
  const auto exchange = server.ask({"POST", "/generate", "", {{"prompt", "p"}}, {{"accept", "text/event-stream"}}});
  const std::string url = "/jobs/" + server.service.last().id;
  ASSERT_EQ(server.service.last().images[0].calls, 21);
  for (int call = 1; call <= 21; ++call) {
    server.service.step(0, 1, true);
    const Json image = server.ask({"GET", url})->json().at("images").at(0);
    EXPECT_EQ(image.at("step").as_int64(), call - 1);
    EXPECT_EQ(image.at("steps").as_int64(), 20);
    EXPECT_EQ(exchange->events("preview").back().at("step").as_int64(), call - 1);
  }
  server.service.finish_all();
  const std::vector<Json> steps = exchange->events("step");
  ASSERT_EQ(steps.size(), 21u) << "the first evaluation, and each step once";
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].at("step").as_int64(), static_cast<int64_t>(i));
    EXPECT_EQ(steps[i].at("steps").as_int64(), 20);
  }
}

TEST(GenerateEvents, tell_the_time_and_the_place_of_the_whole_order) {
  FakeServer server;
  const auto exchange = server.ask(
      {"POST", "/generate", R"({"prompt": "p", "num_images_per_prompt": 2})", {}, {{"accept", "text/event-stream"}}});
  server.service.move_to(2);
  server.service.move_to(2);
  ASSERT_EQ(exchange->events("step").size(), 1u) << "a move that is none";
  EXPECT_EQ(exchange->events("step")[0].at("stage").as_string(), "queued");
  EXPECT_EQ(exchange->events("step")[0].at("position").as_int64(), 2);
  server.service.last().images[0].seconds_left = 1;
  server.service.last().images[1].seconds_left = 8;
  server.service.step(0, 2);
  EXPECT_EQ(exchange->events("step").back().at("seconds_left").to_number<double>(), 8);
  server.service.finish(0, "a");
  EXPECT_EQ(exchange->events("step").back().at("seconds_left").to_number<double>(), 8);
  EXPECT_NEAR(exchange->events("step").back().at("progress").as_double(), 0.5, 0.01);
}

TEST(GenerateEvents, tell_a_failure_in_the_shape_of_the_errors) {
  FakeServer server;
  const auto exchange = server.ask({"POST", "/generate", "", {{"prompt", "p"}}, {{"accept", "text/event-stream"}}});
  server.service.fail(0, "nan_output");
  ASSERT_EQ(exchange->events("error").size(), 1u);
  EXPECT_EQ(exchange->events("error")[0].at("error").at("code").as_string(), "nan_output");
  EXPECT_TRUE(exchange->ended);
  EXPECT_TRUE(exchange->events("done").empty());
}

TEST(Jobs, respond_async_answers_at_once_and_the_job_stays) {
  FakeServer server;
  const auto exchange =
      server.ask({"POST", "/generate", R"({"prompt": "p"})", {}, {{"prefer", "wait=1, respond-async"}}});
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->status, 202);
  const std::string url = exchange->header("location");
  EXPECT_EQ(url, "/jobs/" + server.service.last().id);
  EXPECT_TRUE(server.service.last().order.stays);
  EXPECT_EQ(exchange->json().at("status").as_string(), "queued");
  server.service.step(0, 11);
  const Json running = server.ask({"GET", url})->json();
  EXPECT_EQ(running.at("status").as_string(), "running");
  EXPECT_NEAR(running.at("progress").as_double(), 0.52, 0.01);
  EXPECT_EQ(running.at("images").at(0).at("step").as_int64(), 10);
  const auto early = server.ask({"GET", url + "/images/0"});
  EXPECT_EQ(early->answer->status, 409);
  EXPECT_EQ(early->header("retry-after"), "3");
  const auto events = server.ask({"GET", url + "/events"});
  server.service.finish_all();
  EXPECT_EQ(events->events("done").size(), 1u);
  EXPECT_FALSE(events->events("image")[0].as_object().contains("image"));
  const Json done = server.ask({"GET", url})->json();
  EXPECT_EQ(done.at("status").as_string(), "done");
  const std::string image(done.at("images").at(0).at("url").as_string());
  const auto bytes = server.ask({"GET", image});
  EXPECT_EQ(bytes->answer->body, "image 0");
  EXPECT_EQ(bytes->answer->content_type, "image/png");
  EXPECT_EQ(
      server.ask({"GET", image, "", {{"download", "1"}}})->header("content-disposition"),
      "attachment; filename=\"inkstone-" + std::to_string(server.service.last().order.images[0]->seed) + ".png\"");
  EXPECT_EQ(server.ask({"GET", url + "/images/1"})->answer->status, 404);
  EXPECT_EQ(server.ask({"GET", url + "/images/-1"})->answer->status, 404);
  EXPECT_EQ(server.ask({"GET", url + "/events"})->events("done").size(), 1u);
}

TEST(Jobs, who_joins_late_is_told_first_how_all_images_are) {
  FakeServer server;
  const auto placed = server.ask(
      {"POST", "/generate",
       R"({"prompt": "p", "seed": 5, "num_images_per_prompt": 3, "async": true, "previews": true, "scheduler": "ddim"})"});
  const std::string url = placed->header("location");
  server.service.step(0, 20);
  server.service.finish(0, "a");
  server.service.step(1, 7, true);
  server.service.last().images[1].warnings = {"the prompt was cut"};
  const auto late = server.ask({"GET", url + "/events"});
  ASSERT_EQ(late->events("queued").size(), 1u);
  const Json state = late->events("queued")[0];
  EXPECT_EQ(state.at("status").as_string(), "running");
  EXPECT_EQ(state.at("seeds").at(2).as_int64(), 7);
  EXPECT_EQ(state.at("parameters").at("prompt").as_string(), "p");
  EXPECT_EQ(state.at("warnings").at(0).as_string(), "the prompt was cut");
  EXPECT_NEAR(state.at("progress").as_double(), 0.45, 0.01);
  const std::vector<Json> steps = late->events("step");
  ASSERT_EQ(steps.size(), 2u) << "the third has not begun";
  EXPECT_EQ(steps[0].at("stage").as_string(), "done");
  EXPECT_EQ(steps[1].at("step").as_int64(), 7);
  EXPECT_EQ(late->events("preview").size(), 1u);
  ASSERT_EQ(late->events("image").size(), 1u);
  EXPECT_EQ(late->events("image")[0].at("url").as_string(), url + "/images/0");
  server.service.finish(1, "b");
  server.service.finish(2, "c");
  EXPECT_EQ(late->events("image").size(), 3u) << "each once";
  EXPECT_EQ(late->events("done").size(), 1u);
  EXPECT_TRUE(late->ended);
}

TEST(Jobs, events_of_an_ended_one_tell_its_images_and_its_end) {
  FakeServer server;
  const auto placed =
      server.ask({"POST", "/generate", R"({"prompt": "p", "num_images_per_prompt": 2, "async": true})"});
  const std::string url = placed->header("location");
  server.service.finish(1, "b");
  server.service.fail(0, "nan_output");
  const auto late = server.ask({"GET", url + "/events"});
  ASSERT_EQ(late->events("image").size(), 1u);
  EXPECT_EQ(late->events("image")[0].at("index").as_int64(), 1);
  ASSERT_EQ(late->events("error").size(), 1u);
  EXPECT_EQ(late->events("error")[0].at("error").at("code").as_string(), "nan_output");
  EXPECT_TRUE(late->events("done").empty());
  EXPECT_TRUE(late->ended);
}

TEST(Jobs, can_be_cancelled_at_any_time_and_twice) {
  FakeServer server;
  server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})"});
  const std::string url = "/jobs/" + server.service.last().id;
  EXPECT_EQ(server.ask({"DELETE", url})->json().at("status").as_string(), "cancelled");
  EXPECT_EQ(server.ask({"DELETE", url})->json().at("status").as_string(), "cancelled");
  EXPECT_EQ(server.service.cancels, 1);
  EXPECT_EQ(server.ask({"GET", url + "/images/0"})->answer->status, 409);
  server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})"});
  server.service.finish_all();
  const auto late = server.ask({"DELETE", "/jobs/" + server.service.last().id});
  EXPECT_EQ(late->answer->status, 200);
  EXPECT_EQ(late->json().at("status").as_string(), "done");
  EXPECT_EQ(server.service.cancels, 1);
}

TEST(Jobs, a_cancelled_job_answers_who_waits_for_it) {
  FakeServer server;
  const auto waiting = server.ask({"POST", "/generate", R"({"prompt": "p"})"});
  server.ask({"DELETE", "/jobs/" + server.service.last().id});
  ASSERT_TRUE(waiting->answer);
  EXPECT_EQ(waiting->answer->status, 409);
  EXPECT_EQ(waiting->json().at("error").at("code").as_string(), "cancelled");
}

TEST(Jobs, are_listed_by_pages_the_newest_first) {
  FakeServer server;
  for (int i = 0; i < 130; ++i) server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})"});
  const auto ids = [&](const http::Reply& page) {
    std::vector<std::string> found;
    const Json list = parse_json(page.body, "page");
    for (const Json& job : list.at("jobs").as_array()) found.emplace_back(job.at("id").as_string());
    return found;
  };
  std::vector<std::string> all;
  for (std::string before; all.size() < 130; before = all.back()) {
    Ask ask{"GET", "/jobs", "", {{"limit", "50"}}};
    if (!before.empty()) ask.query.emplace_back("before", before);
    const auto page = server.ask(ask);
    const std::vector<std::string> some = ids(*page->answer);
    ASSERT_EQ(some.size(), std::min<size_t>(50, 130 - all.size()));
    all.insert(all.end(), some.begin(), some.end());
    EXPECT_EQ(page->json().as_object().contains("next"), all.size() < 130);
  }
  std::vector<std::string> expected;
  for (const OrderState& order : server.service.orders) expected.insert(expected.begin(), order.id);
  EXPECT_EQ(all, expected);
  EXPECT_EQ(ids(*server.ask({"GET", "/jobs"})->answer).size(), 20u);
  for (const char* limit : {"0", "101", "-1", "x", ""})
    EXPECT_EQ(server.ask({"GET", "/jobs", "", {{"limit", limit}}})->answer->status, 400) << limit;
  EXPECT_EQ(server.ask({"GET", "/jobs", "", {{"before", "nobody"}}})->answer->status, 404);
}

TEST(Jobs, are_listed_without_what_was_said) {
  FakeServer server;
  const std::string prompt(10'000, 'p');
  server.ask({"POST", "/generate", "{\"prompt\": \"" + prompt + "\", \"num_images_per_prompt\": 16, \"async\": true}"});
  server.service.finish_all();
  const auto list = server.ask({"GET", "/jobs"});
  EXPECT_LT(list->answer->body.size(), 8000u);
  EXPECT_THAT(list->answer->body, testing::Not(HasSubstr("parameters")));
  EXPECT_THAT(server.ask({"GET", "/jobs/" + server.service.last().id})->answer->body, HasSubstr(prompt));
}

TEST(Jobs, are_nobody_elses) {
  FakeServer server;
  server.ask({"POST", "/generate", R"({"prompt": "p", "async": true})"});
  const std::string url = "/jobs/" + server.service.last().id;
  for (const std::string& path : {url, url + "/events", url + "/images/0"})
    EXPECT_EQ(server.ask({"GET", path, "", {}, {}, "key:other"})->answer->status, 404) << path;
  EXPECT_EQ(server.ask({"DELETE", url, "", {}, {}, "key:other"})->answer->status, 404);
  EXPECT_EQ(server.service.cancels, 0);
  EXPECT_EQ(server.ask({"GET", "/jobs", "", {}, {}, "key:other"})->json().at("jobs").as_array().size(), 0u);
  EXPECT_EQ(server.ask({"GET", "/jobs"})->json().at("jobs").as_array().size(), 1u);
}

TEST(Generate, what_has_another_effect_than_elsewhere_is_warned_of_in_every_form) {
  FakeServer server;
  const std::string body = R"({"prompt": "(a fox:1.3) <lora:\u00fc:1>", "scheduler": "DPM fast Karras"})";
  const auto json = server.ask({"POST", "/generate", body});
  server.service.finish_all();
  ASSERT_EQ(json->answer->status, 200) << json->answer->body;
  const JsonArray warnings = json->json().at("warnings").as_array();
  ASSERT_EQ(warnings.size(), 2u) << json->answer->body;
  EXPECT_THAT(std::string(warnings[0].as_string()), HasSubstr("no sampler DPM fast here; DPM++ 2M is taken"));
  EXPECT_EQ(json->json().at("parameters").at("scheduler"), Json("dpm++-2m"));
  EXPECT_EQ(json->json().at("parameters").at("karras"), Json(true));
  const auto image = server.ask({"POST", "/generate", body, {}, {{"accept", "image/png"}}});
  server.service.finish_all();
  size_t headers = 0;
  for (const auto& [name, value] : image->answer->headers) {
    headers += name == "inkstone-warning";
    EXPECT_TRUE(std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; })) << value;
  }
  EXPECT_EQ(headers, 2u);
  const auto openai = server.ask({"POST", "/v1/images/generations", R"({"prompt": "<lora:x:1>"})"});
  server.service.finish_all();
  EXPECT_EQ(openai->json().at("warnings").as_array().size(), 1u);
  const auto refused = server.ask({"POST", "/generate", R"({"prompt": "p", "scheduler": "Restart"})"});
  EXPECT_EQ(refused->answer->status, 400);
  EXPECT_THAT(message_of(refused->json()), HasSubstr("the nearest is DPM++ 2M SDE"));
}

}  // namespace
}  // namespace inkstone::serve
