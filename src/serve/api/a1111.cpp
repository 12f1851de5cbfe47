// AUTOMATIC1111's API, /sdapi/v1. What that program has one of - options, the job that runs - each
// client here has for itself.
#include "serve/api/a1111.h"

#include <ctime>

#include "base/base64.h"
#include "base/spelling.h"
#include "base/version.h"
#include "serve/api/a1111_extras.h"
#include "serve/api/a1111_request.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/order_listener.h"

namespace inkstone::serve {
namespace {

std::string time_text(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[16] = "";
  std::strftime(text, sizeof text, "%Y%m%d%H%M%S", &parts);
  return text;
}

JsonObject info_json(const OrderState& order, const A1111Request& asked, const std::string& hash) {
  const ResolvedRequest& first = *order.order.images.front();
  JsonArray prompts, negatives, subseeds, infotexts, warnings = warnings_json(order);
  for (const std::string& warning : asked.warnings) warnings.emplace_back(warning);
  for (const ImageState& image : order.images) {
    prompts.emplace_back(first.prompt);
    negatives.emplace_back(first.negative_prompt);
    subseeds.emplace_back(0);
    infotexts.emplace_back(image.parameters);
  }
  return {{"prompt", first.prompt},
          {"all_prompts", std::move(prompts)},
          {"negative_prompt", first.negative_prompt},
          {"all_negative_prompts", std::move(negatives)},
          {"seed", first.seed},
          {"all_seeds", seeds_json(order)},
          {"subseed", 0},
          {"all_subseeds", std::move(subseeds)},
          {"subseed_strength", 0},
          {"width", first.width},
          {"height", first.height},
          {"sampler_name", asked.sampler},
          {"cfg_scale", shortest(first.guidance_scale)},
          {"steps", first.steps},
          {"batch_size", asked.batch_size},
          {"restore_faces", false},
          {"face_restoration_model", nullptr},
          {"sd_model_name", order.order.model},
          {"sd_model_hash", hash.empty() ? Json() : Json(hash.substr(0, 10))},
          {"sd_vae_name", nullptr},
          {"sd_vae_hash", nullptr},
          {"seed_resize_from_w", -1},
          {"seed_resize_from_h", -1},
          {"denoising_strength", asked.denoising_strength ? Json(shortest(*asked.denoising_strength)) : Json()},
          {"extra_generation_params", JsonObject{{"Schedule type", asked.schedule_type}}},
          {"index_of_first_image", 0},
          {"infotexts", std::move(infotexts)},
          {"styles", JsonArray{}},
          {"job_timestamp", time_text(order.created)},
          {"clip_skip", first.clip_skip},
          {"is_using_inpainting_conditioning", false},
          {"version", std::string("inkstone ") + kVersion},
          {"warnings", std::move(warnings)}};
}

std::string a1111_text(const OrderState& order, const A1111Request& asked, const std::string& hash) {
  JsonArray images;
  if (asked.send_images)
    for (const ImageState& image : order.images) images.emplace_back(base64(*image.file));
  return json_text(JsonObject{
      {"images", std::move(images)}, {"parameters", asked.echo}, {"info", json_text(info_json(order, asked, hash))}});
}

http::Reply a1111_reply(ApiContext& context, const OrderState& order, const A1111Request& asked) {
  if (const auto error = error_of(order)) throw ApiFault(*error);
  std::string hash;
  for (const ServedModel& model : context.service.models())
    if (model.card && model.name == order.order.model) hash = model.card->hash;
  return shared_json_reply(context.answers.of("a1111 " + order.id, [&] { return a1111_text(order, asked, hash); }));
}

void draw(A1111State& state, const http::ExchangePtr& exchange, A1111Task task) {
  ApiContext& context = state.context;
  const http::Request& request = exchange->request();
  const Fields fields = Fields::of_body(request, Manner::kLenient);
  auto asked = std::make_shared<A1111Request>(
      a1111_request(request, fields, state.options.of(request.client, context), context, task));
  const OrderState& order = submit(context.service, std::move(asked->order));
  answer_when_ended(context.service, exchange, order, http::ErrorShape::kA1111,
                    [&context, asked](const OrderState& done) { return a1111_reply(context, done, *asked); });
}

void set_options(A1111State& state, const http::ExchangePtr& exchange) {
  const http::Request& request = exchange->request();
  const Fields fields = Fields::of_body(request, Manner::kLenient);
  state.options.set(request.client, fields.object(), state.context);
  exchange->reply(json_reply(200, nullptr));
}

void refuse_route(const http::ExchangePtr& exchange) {
  refuse(
      501, "not_supported",
      exchange->request().path +
          " is not supported: this server draws, by /sdapi/v1/txt2img and /sdapi/v1/img2img, and enlarges pictures, by "
          "/sdapi/v1/extra-single-image and /sdapi/v1/extra-batch-images; it describes none");
}

// The answer is the same whatever the body says, so none is taken.
void add_absent_route(http::Router& router, const char* name) {
  http::Route route{"POST", std::string("/sdapi/v1/") + name, handled(http::ErrorShape::kA1111, refuse_route),
                    http::ErrorShape::kA1111};
  route.at_head = true;
  router.add(std::move(route));
}

}  // namespace

void add_a1111_route(http::Router& router, const std::shared_ptr<A1111State>& state, const char* method,
                     const char* name, A1111Body body, bool pictures) {
  http::Route route{
      method, std::string("/sdapi/v1/") + name,
      handled(http::ErrorShape::kA1111,
              [state, body = std::move(body)](const http::ExchangePtr& exchange) { body(*state, exchange); }),
      http::ErrorShape::kA1111};
  route.pictures = pictures;
  router.add(std::move(route));
}

void add_a1111_routes(http::Router& router, ApiContext& context) {
  const auto state = std::make_shared<A1111State>(A1111State{context, {}});
  for (const auto& [name, task] : {std::pair("txt2img", A1111Task::kText), std::pair("img2img", A1111Task::kPicture)})
    add_a1111_route(
        router, state, "POST", name,
        [task = task](A1111State& here, const http::ExchangePtr& exchange) { draw(here, exchange, task); }, true);
  add_a1111_route(router, state, "POST", "options", set_options);
  add_a1111_route(router, state, "GET", "options", [](A1111State& here, const http::ExchangePtr& exchange) {
    exchange->reply(json_reply(200, here.options.of(exchange->request().client, here.context)));
  });
  add_absent_route(router, "interrogate");
  add_a1111_extras(router, state);
  add_a1111_progress(router, state);
  add_a1111_lists(router, state);
  add_a1111_png_info(router, state);
}

}  // namespace inkstone::serve
