// Which model and adapters a request asks for, in each API: names, defaults of the model, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

// "demo", which is the default; "anime" of 768 pixels and 5 steps, whose hash is not known yet; one
// that is being read, and one that cannot be run.
struct TwoModels : FakeServer {
  TwoModels() {
    ModelCard anime = service.card;
    anime.name = "anime";
    anime.file = "anime.safetensors";
    anime.hash.clear();
    anime.traits.width = anime.traits.height = 768;
    anime.traits.steps = 5;
    service.others = {{"anime", {"/secret/anime.safetensors", "s"}, anime, {}, {}},
                      {"late", {"/secret/late.safetensors", "s"}, {}, {}, {}},
                      {"torn", {"/secret/torn.safetensors", "s"}, {}, "/secret/torn.safetensors: it is torn", {}}};
  }
  void with_adapters() {
    service.adapter_folder = {{"style", "/secret/style.safetensors", "1"}, {"other", "/secret/o", "2"}};
  }
  Order asked(const Ask& ask) {
    const size_t before = service.orders.size();
    const auto exchange = this->ask(ask);
    EXPECT_FALSE(exchange->answer) << exchange->answer->body;
    EXPECT_EQ(service.orders.size(), before + 1);
    return service.last().order;
  }
};

Ask generate(const std::string& body) { return {"POST", "/generate", body}; }
Ask openai(const std::string& body) { return {"POST", "/v1/images/generations", body}; }
Ask a1111(const std::string& name, const std::string& body) { return {"POST", "/sdapi/v1/" + name, body}; }

TEST(ModelChoice, each_api_takes_a_model_and_its_defaults) {
  TwoModels server;
  for (const Ask& ask :
       {generate(R"({"prompt": "p", "model": "anime"})"), openai(R"({"prompt": "p", "model": "anime"})"),
        Ask{"POST", "/generate", "", {{"prompt", "p"}, {"model", "anime"}}}}) {
    const Order order = server.asked(ask);
    EXPECT_EQ(order.model, "anime");
    EXPECT_EQ(order.images[0]->width, 768);
    EXPECT_EQ(order.images[0]->steps, 5);
  }
  EXPECT_EQ(server.asked(generate(R"({"prompt": "p"})")).model, "demo");
  EXPECT_EQ(server.asked(generate(R"({"prompt": "p"})")).images[0]->width, 512);
  for (const char* name : {"anime", "anime.safetensors", "anime.safetensors [0123456789]", "anime [0123456789]"}) {
    const Order order = server.asked(a1111(
        "txt2img", R"({"prompt": "p", "override_settings": {"sd_model_checkpoint": ")" + std::string(name) + "\"}}"));
    EXPECT_EQ(order.model, "anime") << name;
    EXPECT_EQ(order.images[0]->width, 768);
  }
}

TEST(ModelChoice, an_option_of_a_client_is_its_own_and_stays) {
  TwoModels server;
  EXPECT_EQ(server.ask(a1111("options", R"({"sd_model_checkpoint": "anime.safetensors"})"))->answer->status, 200);
  EXPECT_EQ(server.ask({"GET", "/sdapi/v1/options"})->json().at("sd_model_checkpoint").as_string(),
            "anime.safetensors");
  EXPECT_EQ(server.asked(a1111("txt2img", R"({"prompt": "p"})")).model, "anime");
  EXPECT_EQ(
      server.asked(a1111("txt2img", R"({"prompt": "p", "override_settings": {"sd_model_checkpoint": ""}})")).model,
      "anime");
  EXPECT_EQ(
      server.asked(a1111("txt2img", R"({"prompt": "p", "override_settings": {"sd_model_checkpoint": "demo"}})")).model,
      "demo");
  Ask other = a1111("txt2img", R"({"prompt": "p"})");
  other.client = "ip:2.2.2.2";
  EXPECT_EQ(server.asked(other).model, "demo");
  server.service.others[0].card->hash = std::string(64, 'b');
  EXPECT_EQ(server.asked(a1111("txt2img", R"({"prompt": "p"})")).model, "anime") << "its title has a hash by now";
}

TEST(ModelChoice, a_wrong_name_is_refused_with_those_that_are_near) {
  TwoModels server;
  for (const Ask& ask : {generate(R"({"prompt": "p", "model": "anim"})"), openai(R"({"prompt": "p", "model": "anim"})"),
                         Ask{"GET", "/v1/models/anim"}}) {
    const auto exchange = server.ask(ask);
    ASSERT_EQ(exchange->answer->status, 404) << exchange->answer->body;
    EXPECT_THAT(message_of(exchange->json()), HasSubstr("did you mean \"anime\"?"));
    EXPECT_THAT(message_of(exchange->json()), HasSubstr("there are demo, anime"));
  }
  EXPECT_EQ(server.ask(a1111("options", R"({"sd_model_checkpoint": "anim"})"))->answer->status, 404);
  EXPECT_EQ(server.ask(generate(R"({"prompt": "p", "model": "demo [bbbbbbbbbb]"})"))->answer->status, 404)
      << "another model of that name";
  EXPECT_EQ(server.ask(generate(R"({"prompt": "p", "model": "late"})"))->answer->status, 503);
  const auto torn = server.ask(generate(R"({"prompt": "p", "model": "torn"})"));
  EXPECT_EQ(torn->answer->status, 404);
  EXPECT_THAT(torn->answer->body, Not(HasSubstr("secret")));
}

TEST(ModelChoice, lists_say_what_there_is_and_no_path) {
  TwoModels server;
  server.with_adapters();
  const Json models = server.ask({"GET", "/v1/models"})->json().at("data");
  ASSERT_EQ(models.as_array().size(), 2u);
  EXPECT_EQ(models.at(0).at("id").as_string(), "demo");
  EXPECT_EQ(models.at(1).at("id").as_string(), "anime");
  const Json titles = server.ask({"GET", "/sdapi/v1/sd-models"})->json();
  EXPECT_EQ(titles.at(0).at("title").as_string(), "demo [aaaaaaaaaa]");
  EXPECT_EQ(titles.at(1).at("title").as_string(), "anime.safetensors");
  EXPECT_TRUE(titles.at(1).at("hash").is_null());
  EXPECT_EQ(server.ask({"GET", "/sdapi/v1/loras"})->json().at(0).at("name").as_string(), "style");
  EXPECT_EQ(server.ask({"GET", "/v2/models/anime"})->json().at("name").as_string(), "anime");
  const Json info = server.ask({"GET", "/v1/info", "", {{"model", "anime"}}})->json();
  EXPECT_EQ(info.at("model").at("name").as_string(), "anime");
  EXPECT_EQ(info.at("defaults").at("width").as_int64(), 768);
  EXPECT_EQ(info.at("models").as_array().size(), 2u);
  const Json own = server.ask({"GET", "/models"})->json();
  EXPECT_EQ(own.at("models").at(2).at("state").as_string(), "reading");
  EXPECT_EQ(own.at("models").at(3).at("state").as_string(), "unusable");
  EXPECT_EQ(own.at("loras").as_array().size(), 2u);
  for (const char* path : {"/models", "/sdapi/v1/loras", "/sdapi/v1/sd-models", "/v1/models", "/metrics"})
    EXPECT_THAT(server.ask({"GET", path})->answer->body, Not(HasSubstr("secret"))) << path;
  for (const char* path : {"/models", "/sdapi/v1/refresh-checkpoints", "/sdapi/v1/refresh-loras"})
    EXPECT_EQ(server.ask({"POST", path})->answer->status, 200) << path;
  EXPECT_EQ(server.service.rescans, 3);
}

TEST(AdapterChoice, tags_and_the_field_name_adapters_of_the_folder) {
  TwoModels server;
  server.with_adapters();
  const Order order = server.asked(generate(R"({"prompt": "a <lora:style:0.5> fox", "loras": ["other:1:0.25"]})"));
  EXPECT_EQ(order.images[0]->prompt, "a  fox");
  EXPECT_EQ(order.adapters, (std::vector<AdapterTag>{{"other", 1, 0.25f}, {"style", 0.5f, 0.5f}}));
  EXPECT_EQ(server.asked(openai(R"({"prompt": "a <lora:style>"})")).adapters.size(), 1u);
  EXPECT_EQ(server.asked(a1111("txt2img", R"({"prompt": "a <lora:style:0.8>"})")).adapters.size(), 1u);
  server.service.finish_all();
  EXPECT_EQ(server.asked({"POST", "/generate", "", {{"prompt", "p"}, {"loras", "style:2"}}}).adapters.size(), 1u);
}

TEST(AdapterChoice, what_is_no_name_of_the_folder_is_refused) {
  TwoModels server;
  const Order plain = server.asked(generate(R"({"prompt": "a <lora:style:0.5>"})"));
  EXPECT_EQ(plain.images[0]->prompt, "a <lora:style:0.5>") << "without a folder it is text, as ever";
  EXPECT_EQ(server.ask(a1111("txt2img", R"({"prompt": "a <lora:style:0.8>"})"))->answer->status, 422);
  EXPECT_THAT(message_of(server.ask(generate(R"({"prompt": "a", "loras": ["style"]})"))->json()),
              HasSubstr("--lora-dir"));
  server.with_adapters();
  for (const char* body : {R"({"prompt": "a <lora:stile:1>"})", R"({"prompt": "a <lora:../style:1>"})",
                           R"({"prompt": "a <lora:style:x>"})", R"({"prompt": "a", "loras": ["/secret/style"]})",
                           R"({"prompt": "a", "loras": [":1"]})", R"({"prompt": "a", "loras": [1]})",
                           R"({"prompt": "a", "loras": {"style": 1}})"}) {
    const auto exchange = server.ask(generate(body));
    ASSERT_TRUE(exchange->answer) << body;
    EXPECT_EQ(exchange->answer->status, 400) << body;
    EXPECT_THAT(exchange->answer->body, Not(HasSubstr("/secret/style.safetensors")));
  }
  EXPECT_THAT(message_of(server.ask(generate(R"({"prompt": "a <lora:stile>"})"))->json()),
              HasSubstr("did you mean style?"));
  std::string many = R"({"prompt": "a", "loras": ["style")";
  for (int i = 0; i < 40; ++i) many += ", \"style\"";
  EXPECT_EQ(server.ask(generate(many + "]}"))->answer->status, 400);
  EXPECT_EQ(server.ask(a1111("txt2img", R"({"prompt": "a <hypernet:x:1>"})"))->answer->status, 422);
}

}  // namespace
}  // namespace inkstone::serve
