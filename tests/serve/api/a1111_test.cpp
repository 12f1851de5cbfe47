// AUTOMATIC1111's API as its clients use it, each client for itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "base/base64.h"
#include "base/image.h"
#include "fakes.h"
#include "serve/api/a1111_request.h"
#include "serve/api/a1111_samplers.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

Ask post(const std::string& name, const std::string& body, const std::string& client = "ip:1.1.1.1") {
  return {"POST", "/sdapi/v1/" + name, body, {}, {}, client};
}
Ask get(const std::string& name, const std::string& client = "ip:1.1.1.1") {
  return {"GET", "/sdapi/v1/" + name, "", {}, {}, client};
}

TEST(A1111, what_webuiapi_sends_is_answered_as_it_reads_it) {
  FakeServer server;
  const auto exchange = server.ask(post("txt2img", R"({"enable_hr": false, "hr_scale": 2, "hr_upscaler": "Latent",
    "hr_second_pass_steps": 0, "hr_resize_x": 0, "hr_resize_y": 0, "hr_checkpoint_name": null, "hr_sampler_name": null,
    "hr_scheduler": null, "hr_prompt": "", "hr_negative_prompt": "", "denoising_strength": 0.7, "firstphase_width": 0,
    "firstphase_height": 0, "prompt": "p", "styles": [], "seed": 11, "subseed": -1, "subseed_strength": 0.0,
    "seed_resize_from_h": 0, "seed_resize_from_w": 0, "batch_size": 2, "n_iter": 2, "steps": 20, "cfg_scale": 7.0,
    "width": 512, "height": 512, "restore_faces": false, "tiling": false, "do_not_save_samples": false,
    "do_not_save_grid": false, "negative_prompt": "n", "eta": 1.0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1,
    "override_settings": {}, "override_settings_restore_afterwards": true, "sampler_name": "Euler a",
    "scheduler": "automatic", "sampler_index": "Euler a", "script_name": null, "script_args": [], "send_images": true,
    "save_images": false, "alwayson_scripts": {"ControlNet": {"args": [{"enabled": false}]}, "ADetailer": {"args": [false]}}, "whatever": 3})"));
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  const Order& order = server.service.last().order;
  ASSERT_EQ(order.images.size(), 4u);
  EXPECT_EQ(order.images[3]->seed, 14u);
  EXPECT_EQ(order.images[0]->said().scheduler, "euler-ancestral");
  EXPECT_EQ(order.images[0]->scheduler_config.eta, 0);
  server.service.finish_all();
  ASSERT_EQ(exchange->answer->status, 200) << exchange->answer->body;
  const JsonObject json = exchange->json().as_object();
  EXPECT_EQ(json.at("images").at(3).as_string(), base64("image 3"));
  EXPECT_EQ(json.at("parameters").at("prompt").as_string(), "p");
  const Json info = parse_json(json.at("info").as_string(), "info");
  EXPECT_EQ(info.at("all_seeds"), (JsonArray{11, 12, 13, 14}));
  EXPECT_EQ(info.at("infotexts").at(0).as_string(), "the parameters of image 0");
  EXPECT_EQ(info.at("sampler_name").as_string(), "Euler a");
  EXPECT_EQ(info.at("index_of_first_image").as_int64(), 0);
  EXPECT_EQ(info.at("sd_model_hash").as_string(), std::string(10, 'a'));
  EXPECT_EQ(info.at("job_timestamp").as_string(), "20231114221321");
}

TEST(A1111, the_defaults_are_taken_as_they_are_echoed) {
  FakeServer server;
  const auto first = server.ask(post("txt2img", R"({"prompt": "p"})"));
  EXPECT_EQ(server.service.last().order.images[0]->steps, 50);
  EXPECT_EQ(server.service.last().order.images[0]->said().scheduler, "euler");
  server.service.finish_all();
  const std::string echo(boost::json::serialize(first->json().at("parameters")));
  EXPECT_FALSE(server.ask(post("txt2img", echo))->answer) << echo;
  for (const FieldInfo& field : a1111_fields(A1111Task::kText))
    EXPECT_THAT(echo, HasSubstr("\"" + std::string(field.name) + "\""));
}

TEST(A1111, samplers_go_by_all_their_names) {
  struct Row {
    std::string name, type, scheduler, schedule;  // "": refused
  };
  for (const Row& row : std::vector<Row>{{"Euler a", "", "euler-ancestral", "uniform"},
                                         {"k_euler_a", "automatic", "euler-ancestral", "uniform"},
                                         {"EULER", "Karras", "euler", "karras"},
                                         {"DPM++ 2M Karras", "", "dpm++-2m", "karras"},
                                         {"DPM++ 2M Karras", "Automatic", "dpm++-2m", "karras"},
                                         {"DPM++ 2M", "", "dpm++-2m", "karras"},
                                         {"DPM++ 2M", "Uniform", "dpm++-2m", "uniform"},
                                         {"k_dpmpp_2m_ka", "", "dpm++-2m", "karras"},
                                         {"DPM++ 2M SDE", "karras", "dpm++-2m-sde", "karras"},
                                         {"DPM++ 2M SDE", "", "dpm++-2m-sde", "exponential"},
                                         {"DPM++ 3M SDE", "automatic", "dpm++-3m-sde", "exponential"},
                                         {"DPM++ SDE", "", "dpm++-sde", "karras"},
                                         {"DPM++ 2S a", "", "dpm++-2s-a", "karras"},
                                         {"DPM2", "", "dpm2", "karras"},
                                         {"DPM2 a", "", "dpm2-a", "karras"},
                                         {"Heun", "", "heun", "uniform"},
                                         {"LMS", "", "lms", "uniform"},
                                         {"PLMS", "", "pndm", "default"},
                                         {"UniPC", "karras", "unipc", "karras"},
                                         {"UniPC", "", "unipc", "default"},
                                         {"LCM", "", "lcm", "default"},
                                         {"TCD", "", "tcd", "default"},
                                         {"DDIM", "", "ddim", "default"},
                                         {"Euler a Karras", "", "euler-ancestral", "karras"},
                                         {"Euler", "normal", "euler", "uniform"},
                                         {"PLMS", "karras", "pndm", "default"},
                                         {"Euler", "polyexponential", "euler", "exponential"},
                                         {"Euler a", "sgm_uniform", "euler-ancestral", "sgm-uniform"},
                                         {"Euler", "align_your_steps", "euler", "ays"},
                                         {"Euler", "turbo", "euler", "trailing"},
                                         {"Euler a", "turbo", "", ""},
                                         {"Euler", "nonsense", "", ""},
                                         {"Restart", "", "", ""}}) {
    try {
      const Sampling sampling = a1111_sampling(row.name, row.type);
      EXPECT_EQ(name_of(sampling.kind), row.scheduler) << row.name;
      EXPECT_EQ(name_of(*sampling.schedule), row.schedule) << row.name << row.type;
    } catch (const ApiFault&) {
      EXPECT_EQ(row.schedule, "") << row.name << row.type;
    }
  }
  for (const char* name : {"DPM++ 2M", "DPM++ 2M SDE", "Heun", "DPM2"})
    EXPECT_TRUE(a1111_sampling(name, "automatic").warnings.empty()) << name;
  FakeServer server;
  const Json samplers = server.ask(get("samplers"))->json();
  ASSERT_FALSE(samplers.as_array().empty());
  for (const Json& sampler : samplers.as_array()) {
    EXPECT_NO_THROW(a1111_sampling(sampler.at("name").as_string(), ""));
    for (const Json& alias : sampler.at("aliases").as_array()) EXPECT_NO_THROW(a1111_sampling(alias.as_string(), ""));
  }
}

TEST(A1111, what_is_not_here_is_refused_with_its_names) {
  struct Row {
    std::string body;
    int status;
    std::string says;
  };
  for (const Row& row : std::vector<Row>{
           {R"({"enable_hr": true, "tiling": true, "restore_faces": true})", 422, "restore_faces, tiling"},
           {R"({"styles": ["x"]})", 422, "styles"},
           {R"({"alwayson_scripts": {"ControlNet": {"args": [{"model": "x"}]}}})", 422, "ControlNet"},
           {R"({"alwayson_scripts": {"ADetailer": {"args": [true, {"ad_model": "x"}]}}})", 422, "ADetailer"},
           {R"({"script_name": "X/Y"})", 422, "script_name"},
           {R"({"subseed_strength": 0.5})", 422, "subseed_strength"},
           {R"({"s_noise": 0.5})", 422, "s_noise"},
           {R"({"override_settings": {"CLIP_stop_at_last_layers": 0}})", 400, "CLIP_stop_at_last_layers"},
           {R"({"prompt": "a AND b:9999"})", 400, "the weight of"},
           {R"({"override_settings": {"sd_model_checkpoint": "other"}})", 404, "there is demo"},
           {R"({"override_settings": 3})", 400, "an object"},
           {R"({"sampler_name": "Nope"})", 404, "Sampler not found"},
           {R"({"sampler_name": "Restart"})", 404, "the nearest is DPM++ 2M SDE; there are DPM++ 2M, "},
           {R"({"sampler_name": "Euler a", "scheduler": "turbo"})", 422, "there are Automatic, Uniform, Karras"},
           {R"({"scheduler": "nonsense"})", 422, "there are Automatic, Uniform, Karras"},
           {R"({"prompt": "a <lora:foo:0.8>"})", 422, "<lora:foo:0.8>"},
           {R"({"negative_prompt": "<hypernet:foo:0.8>"})", 422, "<hypernet:foo:0.8>"},
           {R"({"clip_skip": 0})", 400, "clip_skip"},
           {R"({"batch_size": 5, "n_iter": 5})", 400, "25 images; at most 16"},
           {R"({"batch_size": 1000000000, "n_iter": 1000000000})", 400, "from 1 to 16"},
           {R"({"width": 100})", 400, "the nearest are 96 and 104"},
           {R"({"steps": 100000})", 400, "from 1 to 200"},
           {R"({"cfg_scale": "inf"})", 400, "a number"},
           {R"({"prompt": 5})", 400, "a text"},
           {R"([1])", 400, "a JSON object"},
       }) {
    FakeServer server;
    const auto exchange = server.ask(post("txt2img", row.body));
    ASSERT_TRUE(exchange->answer) << row.body;
    EXPECT_EQ(exchange->answer->status, row.status) << row.body;
    const JsonObject error = exchange->json().as_object();
    for (const char* key : {"error", "detail", "body", "errors"}) EXPECT_TRUE(error.contains(key)) << key;
    EXPECT_THAT(std::string(error.at("errors").as_string()), HasSubstr(row.says));
  }
}

TEST(A1111, a_byte_order_mark_before_the_body_is_passed_over) {
  FakeServer server;
  EXPECT_FALSE(server.ask(post("txt2img", "\xef\xbb\xbf{\"prompt\": \"p\"}"))->answer);
}

TEST(A1111, texts_that_are_numbers_are_taken) {
  FakeServer server;
  const auto exchange =
      server.ask(post("txt2img", R"({"steps": "5", "seed": "8", "cfg_scale": "4.5", "width": null})"));
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  EXPECT_EQ(server.service.last().order.images[0]->steps, 5);
  EXPECT_EQ(server.service.last().order.images[0]->seed, 8u);
}

TEST(A1111, prompts_have_its_syntax_and_clip_skip_comes_from_the_options) {
  FakeServer server;
  const auto last = [&] { return server.service.last().order.images[0]->said(); };
  EXPECT_FALSE(server.ask(post("txt2img", "{\"prompt\": \"(x:1.1)\"}"))->answer);
  EXPECT_EQ(last().prompt, "(x:1.1)");
  EXPECT_EQ(last().prompt_syntax, "a1111");
  EXPECT_EQ(last().clip_skip, 1);
  for (const char* body : {R"({"override_settings": {"CLIP_stop_at_last_layers": 2}})", R"({"clip_skip": 2})"}) {
    EXPECT_FALSE(server.ask(post("txt2img", body))->answer);
    EXPECT_EQ(last().clip_skip, 2) << body;
  }
}

TEST(A1111, the_nearest_sampler_is_said_in_info) {
  FakeServer server;
  const auto exchange =
      server.ask(post("txt2img", R"({"prompt": "p", "sampler_name": "DPM fast", "scheduler": "Turbo"})"));
  ASSERT_FALSE(exchange->answer) << exchange->answer->body;
  server.service.finish_all();
  const Json info = parse_json(exchange->json().at("info").as_string(), "info");
  EXPECT_EQ(info.at("sampler_name"), Json("DPM++ 2M"));
  ASSERT_EQ(info.at("warnings").as_array().size(), 2u);
  EXPECT_THAT(std::string(info.at("warnings").at(0).as_string()), HasSubstr("DPM fast"));
  EXPECT_THAT(std::string(info.at("warnings").at(1).as_string()), HasSubstr("Turbo"));
}

TEST(A1111, an_empty_sampler_name_is_none) {
  FakeServer server;
  for (const auto& [body, scheduler] : {std::pair(R"({"sampler_name": "", "sampler_index": "DDIM"})", "ddim"),
                                        std::pair(R"({"sampler_name": ""})", "euler")}) {
    EXPECT_FALSE(server.ask(post("txt2img", body))->answer) << body;
    EXPECT_EQ(server.service.last().order.images[0]->said().scheduler, scheduler);
  }
}

TEST(A1111, progress_and_interrupt_are_the_callers_own) {
  FakeServer server;
  server.ask(post("txt2img", R"({"prompt": "p", "steps": 10, "force_task_id": "t1", "n_iter": 2})"));
  server.service.step(0, 5, true);
  const Json mine = server.ask(get("progress"))->json(), others = server.ask(get("progress", "ip:2.2.2.2"))->json();
  EXPECT_NEAR(mine.at("progress").as_double(), 0.25, 0.01);
  EXPECT_EQ(mine.at("eta_relative").as_double(), 3);
  EXPECT_EQ(mine.at("state").at("job").as_string(), "t1");
  EXPECT_EQ(mine.at("state").at("job_count").as_int64(), 2);
  EXPECT_EQ(mine.at("state").at("sampling_step").as_int64(), 5);
  EXPECT_EQ(mine.at("state").at("sampling_steps").as_int64(), 10);
  EXPECT_TRUE(mine.at("current_image").is_string());
  EXPECT_EQ(others.at("progress").as_double(), 0);
  EXPECT_EQ(others.at("state").at("job_count").as_int64(), 0);
  EXPECT_EQ(others.at("state").at("job_timestamp").as_string(), "0");
  Ask quiet = get("progress");
  quiet.query = {{"skip_current_image", "true"}};
  EXPECT_TRUE(server.ask(quiet)->json().at("current_image").is_null());
  EXPECT_EQ(server.ask(post("interrupt", "", "ip:2.2.2.2"))->answer->body, "{}");
  EXPECT_EQ(server.service.cuts, 0);
  EXPECT_EQ(server.ask(post("interrupt", ""))->answer->body, "{}");
  EXPECT_EQ(server.service.cuts, 1);
  EXPECT_EQ(server.ask(post("skip", ""))->answer->body, "null");
  EXPECT_EQ(server.service.cuts, 2);
  server.service.finish_all();
  EXPECT_EQ(server.ask(get("progress"))->json().at("progress").as_double(), 0);
}

TEST(A1111, options_are_the_callers_own_and_come_back) {
  FakeServer server;
  EXPECT_EQ(server.ask(get("options"))->json().at("send_seed"), true);
  EXPECT_EQ(
      server.ask(post("options", R"({"send_seed": false, "samples_format": "jpg", "unknown": [1]})"))->answer->body,
      "null");
  EXPECT_EQ(server.ask(get("options"))->json().at("send_seed"), false);
  EXPECT_EQ(server.ask(get("options", "ip:2.2.2.2"))->json().at("send_seed"), true);
  EXPECT_FALSE(server.ask(get("options"))->json().as_object().contains("forge_preset"));
  EXPECT_FALSE(server.ask(get("options"))->json().as_object().contains("unknown"));
  server.ask(post("txt2img", R"({"prompt": "p"})"));
  EXPECT_EQ(server.service.last().order.format, ImageFormat::kJpeg);
  server.ask(post("txt2img", R"({"prompt": "p"})", "ip:2.2.2.2"));
  EXPECT_EQ(server.service.last().order.format, ImageFormat::kPng);
  for (const char* mine : {"demo", "demo [aaaaaaaaaa]", "aaaaaaaaaa"})
    EXPECT_EQ(server.ask(post("options", "{\"sd_model_checkpoint\": \"" + std::string(mine) + "\"}"))->answer->status,
              200);
  EXPECT_EQ(server.ask(post("options", R"({"sd_model_checkpoint": "/etc/passwd"})"))->answer->status, 404);
  EXPECT_EQ(server.ask(post("options", R"({"send_seed": "no"})"))->answer->status, 400);
  EXPECT_EQ(server.ask(post("options", R"({"jpeg_quality": 1e300})"))->answer->status, 400);
}

TEST(A1111, a_whole_number_may_be_written_with_a_point) {
  FakeServer server;
  const std::string same = R"({"CLIP_stop_at_last_layers": 1.0, "eta_noise_seed_delta": 0.0, "jpeg_quality": 90.0})";
  EXPECT_EQ(server.ask(post("options", same))->answer->status, 200);
  const Json options = server.ask(get("options"))->json();
  EXPECT_EQ(options.at("CLIP_stop_at_last_layers"), Json(1));
  EXPECT_TRUE(options.at("jpeg_quality").is_int64());
  EXPECT_FALSE(server.ask(post("txt2img", "{\"override_settings\": " + same + "}"))->answer);
  EXPECT_EQ(server.ask(post("options", R"({"CLIP_stop_at_last_layers": 1.5})"))->answer->status, 400);
  EXPECT_EQ(server.ask(post("options", R"({"eta_noise_seed_delta": 0.1})"))->answer->status, 422);
}

TEST(A1111, the_echo_keeps_no_documents) {
  FakeServer server;
  std::string many = "0";
  for (int i = 0; i < 4000; ++i) many += ",0";
  const auto exchange =
      server.ask(post("txt2img", "{\"prompt\": \"p\", \"comments\": {\"a\": [" + many + "]}, \"script_args\": [" +
                                     many + "], \"hr_prompt\": \"" + std::string(100'000, 'x') + "\"}"));
  server.service.finish_all();
  ASSERT_EQ(exchange->answer->status, 200);
  EXPECT_LT(exchange->answer->body.size(), 10'000u);
  EXPECT_EQ(exchange->json().at("parameters").at("script_args"), Json(JsonArray{}));
  EXPECT_EQ(exchange->json().at("parameters").at("prompt"), Json("p"));
}

TEST(A1111, a_body_of_many_values_is_not_built) {
  std::string many;
  for (int i = 0; i < 50'000; ++i) many += ",\"" + std::to_string(i) + "\":0";
  for (const char* name : {"png-info", "txt2img", "options"}) {
    FakeServer server;
    const auto exchange = server.ask(post(name, "{\"image\":\"\"" + many + "}"));
    EXPECT_EQ(exchange->answer->status, 400) << name;
    EXPECT_THAT(exchange->answer->body, HasSubstr("more than 10000 values")) << name;
  }
}

TEST(A1111, what_is_not_here_takes_no_body) {
  FakeServer server;
  EXPECT_TRUE(server.router.match("POST", "/sdapi/v1/interrogate").route->at_head);
  EXPECT_EQ(server.ask(post("interrogate", ""))->answer->status, 501);
}

TEST(A1111, lists_answer_in_their_shapes) {
  FakeServer server;
  for (const char* name :
       {"samplers", "schedulers", "sd-models", "sd-vae", "upscalers", "latent-upscale-modes", "hypernetworks",
        "face-restorers", "realesrgan-models", "prompt-styles", "loras", "script-info", "extensions"}) {
    const auto exchange = server.ask(get(name));
    EXPECT_EQ(exchange->answer->status, 200) << name;
    EXPECT_TRUE(exchange->json().is_array()) << name;
  }
  for (const char* name : {"options", "progress", "memory", "embeddings", "scripts", "cmd-flags"})
    EXPECT_TRUE(server.ask(get(name))->json().is_object()) << name;
  const Json embeddings = server.ask(get("embeddings"))->json();
  EXPECT_EQ(embeddings.at("loaded").at("style").at("vectors"), 2);
  EXPECT_EQ(embeddings.at("loaded").at("style").at("shape"), 768);
  EXPECT_TRUE(embeddings.at("skipped").as_object().contains("of-xl"));
  EXPECT_EQ(embeddings.at("loaded").as_object().size(), 1u);
  for (const char* name :
       {"refresh-checkpoints", "refresh-vae", "refresh-embeddings", "unload-checkpoint", "reload-checkpoint"})
    EXPECT_EQ(server.ask(post(name, ""))->answer->body, "null") << name;
  EXPECT_EQ(server.ask(get("sd-models"))->json().at(0).at("title").as_string(), "demo [aaaaaaaaaa]");
}

std::string png_with(const TextChunks& texts) {
  const std::vector<std::byte> png = encode_png({1, 1, {1, 2, 3}}, texts);
  return {reinterpret_cast<const char*>(png.data()), png.size()};
}

TEST(A1111, png_info_reads_what_an_image_says) {
  FakeServer server;
  const std::string infotext =
      "a fox, \"red\"\nsecond line\nNegative prompt: blurry: very\nSteps: 20, Sampler: Euler a, Size: 512x768, "
      "Model: \"a, b\", Version: inkstone 0.1.0";
  const std::string png = base64(png_with({{"parameters", infotext}, {"note", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac"}}));
  for (const std::string& image : {png, "data:image/png;base64," + png}) {
    const auto exchange = server.ask(post("png-info", "{\"image\": \"" + image + "\"}"));
    ASSERT_EQ(exchange->answer->status, 200) << exchange->answer->body;
    const Json json = exchange->json();
    EXPECT_EQ(json.at("info").as_string(), infotext);
    EXPECT_EQ(json.at("items").at("note").as_string(), "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
    const Json& parameters = json.at("parameters");
    EXPECT_EQ(parameters.at("Prompt").as_string(), "a fox, \"red\"\nsecond line");
    EXPECT_EQ(parameters.at("Negative prompt").as_string(), "blurry: very");
    EXPECT_EQ(parameters.at("Sampler").as_string(), "Euler a");
    EXPECT_EQ(parameters.at("Model").as_string(), "a, b");
    EXPECT_EQ(parameters.at("Size-2").as_string(), "768");
    EXPECT_EQ(parameters.at("Version").as_string(), "inkstone 0.1.0");
  }
}

TEST(A1111, png_info_refuses_everything_else) {
  FakeServer server;
  const std::string png = png_with({});
  for (const std::string& image : {std::string(""), std::string("%%%%"), base64("GIF89a"), base64(png.substr(0, 20)),
                                   std::string("file:///etc/passwd"), std::string("data:image/png,abc"),
                                   base64(std::string("\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDRxxxxxxxxxxxx", 28))}) {
    const auto exchange = server.ask(post("png-info", "{\"image\": \"" + image + "\"}"));
    EXPECT_GE(exchange->answer->status, image == base64(png.substr(0, 20)) ? 200 : 400) << image;
    EXPECT_LT(exchange->answer->status, 500) << image;
  }
  for (const char* url : {"http://169.254.169.254/", "https://ok@evil/x.png"})
    EXPECT_EQ(server.ask(post("png-info", "{\"image\": \"" + std::string(url) + "\"}"))->answer->status, 400);
  EXPECT_EQ(server.ask(post("png-info", "{}"))->answer->status, 400);
}

}  // namespace
}  // namespace inkstone::serve
