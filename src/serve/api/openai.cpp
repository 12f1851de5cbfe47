// OpenAI's Images API: generations, edits and variations, with streams, and the list of models.
#include <algorithm>
#include <memory>

#include "base/base64.h"
#include "base/image_file.h"
#include "base/json.h"
#include "serve/api/answers.h"
#include "serve/api/api.h"
#include "serve/api/event_stream.h"
#include "serve/api/fault.h"
#include "serve/api/image_links.h"
#include "serve/api/openai_request.h"
#include "serve/api/order_listener.h"
#include "serve/images/enlarged_png.h"

namespace inkstone::serve {
namespace {

std::string size_text(const OrderState& order) {
  const PictureSize size = order.order.images.front()->finished_size();
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

// Images are not counted in tokens here.
JsonObject usage_json() {
  return {{"total_tokens", 0},
          {"input_tokens", 0},
          {"output_tokens", 0},
          {"input_tokens_details", JsonObject{{"text_tokens", 0}, {"image_tokens", 0}}}};
}

std::string openai_text(const OrderState& order, ImageLinks* links, const std::string& server) {
  JsonArray data;
  for (size_t i = 0; i < order.images.size(); ++i) {
    JsonObject one;
    if (links) {
      one["url"] = server + links->add(order, i);
    } else {
      one["b64_json"] = base64(*order.images[i].file);
    }
    one["seed"] = order.order.images[i]->seed;
    data.push_back(std::move(one));
  }
  JsonObject json{{"created", order.created}, {"data", std::move(data)},
                  {"background", "opaque"},   {"output_format", format_name(order.order.format)},
                  {"size", size_text(order)}, {"quality", "auto"},
                  {"usage", usage_json()}};
  if (JsonArray warnings = warnings_json(order); !warnings.empty()) json["warnings"] = std::move(warnings);
  return json_text(json);
}

http::Reply openai_reply(ApiContext& context, const OrderState& order, ImageLinks* links, const std::string& server) {
  if (const auto error = error_of(order)) throw ApiFault(*error);
  const auto make = [&] { return openai_text(order, links, server); };
  const std::string shape = links ? "links " + server : "base64";
  return shared_json_reply(context.answers.of("openai " + order.id + " " + shape, make));
}

class ImageStream : public OrderListener {
 public:
  // `events`: what their names begin with.
  ImageStream(ImageService& service, const http::ExchangePtr& exchange, int partial_images, std::string events)
      : OrderListener(service, exchange), partial_images_(partial_images), events_(std::move(events)) {}

 protected:
  void begun(const OrderState& order) override {
    told_.resize(order.images.size());
    exchange().begin_stream(event_stream_head());
    for (size_t i = 0; i < order.images.size(); ++i) tell_completed(order, i);
  }
  void progressed(const OrderState& order, size_t index) override {
    tell_partial(order, index);
    tell_completed(order, index);
  }
  void finished(const OrderState& order) override {
    for (size_t i = 0; i < order.images.size(); ++i) tell_completed(order, i);
    if (const auto error = error_of(order)) tell_error(*error);
    exchange().end_stream();
  }
  void broken() override {
    tell_error({500, "internal", "something went wrong here", "", 0});
    exchange().end_stream();
  }

 private:
  struct Told {
    int partials = 0;
    bool completed = false;
  };

  void tell(std::string_view what, const OrderState& order, size_t index, std::string_view format, JsonObject more) {
    const std::string type = events_ + std::string(what);
    JsonObject data{{"type", type},      {"created_at", order.created}, {"size", size_text(order)},
                    {"quality", "auto"}, {"background", "opaque"},      {"output_format", format},
                    {"index", index}};
    for (auto& [key, value] : more) data[key] = std::move(value);
    exchange().write(event_text(type, data));
  }

  void tell_partial(const OrderState& order, size_t index) {
    const ImageState& image = order.images[index];
    Told& told = told_[index];
    if (!image.preview || ended(image.stage) || told.partials >= partial_images_) return;
    const int64_t due = int64_t{image.calls} * (told.partials + 1) / (partial_images_ + 1);
    if (image.preview_call < due || exchange().unsent() > kMaxUnsentForPreviews) return;
    const Image& small = *image.preview;  // of the latent's size in its leg
    const int pixels = std::max(1, order.order.images[index]->width / small.width);
    tell(".partial_image", order, index, "png",
         {{"b64_json", base64(enlarged_png(small, pixels * small.width, pixels * small.height))},
          {"partial_image_index", told.partials++}});
  }

  void tell_completed(const OrderState& order, size_t index) {
    const ImageState& image = order.images[index];
    if (image.stage != Stage::kDone || !image.file || told_[index].completed) return;
    told_[index].completed = true;
    tell(".completed", order, index, format_name(order.order.format),
         {{"b64_json", base64(*image.file)}, {"seed", order.order.images[index]->seed}, {"usage", usage_json()}});
  }

  void tell_error(const http::Error& error) {
    const http::Reply reply = http::error_reply(http::ErrorShape::kOpenAi, error, exchange().request().id);
    exchange().write("event: error\ndata: " + reply.body + "\n\n");
  }

  int partial_images_;
  std::string events_;
  std::vector<Told> told_;
};

void draw_openai(ApiContext& context, ImageLinks& links, const http::ExchangePtr& exchange, OpenAiTask task) {
  const Fields fields = Fields::of_body(exchange->request(), Manner::kNullsAbsent);
  fields.check_names(openai_fields());
  OpenAiRequest asked = openai_request(exchange->request(), fields, context, task);
  const OrderState& order = submit(context.service, std::move(asked.order));
  if (asked.stream) {
    std::make_shared<ImageStream>(context.service, exchange, asked.partial_images,
                                  task == OpenAiTask::kGenerate ? "image_generation" : "image_edit")
        ->start(order);
    return;
  }
  ImageLinks* const wanted = asked.urls ? &links : nullptr;
  answer_when_ended(context.service, exchange, order, http::ErrorShape::kOpenAi,
                    [&context, wanted, server = own_url(exchange->request())](const OrderState& done) {
                      return openai_reply(context, done, wanted, server);
                    });
}

JsonObject model_json(const ModelCard& card) {
  return {{"id", card.name}, {"object", "model"}, {"created", card.created}, {"owned_by", "inkstone"}};
}

void list_models(ApiContext& context, const http::ExchangePtr& exchange) {
  JsonArray data;
  for (const ModelCard* card : ready_models(context.service)) data.push_back(model_json(*card));
  exchange->reply(json_reply(200, JsonObject{{"object", "list"}, {"data", std::move(data)}}));
}

void show_openai_model(ApiContext& context, const http::ExchangePtr& exchange) {
  exchange->reply(json_reply(200, model_json(asked_model(context, exchange->request().capture("id")))));
}

}  // namespace

void add_openai_routes(http::Router& router, ApiContext& context) {
  const auto links = std::make_shared<ImageLinks>();
  const auto add = [&](const char* method, const char* pattern, http::Handler handler, bool open = false,
                       bool pictures = false) {
    http::Route route{method, pattern, handled(http::ErrorShape::kOpenAi, std::move(handler)),
                      http::ErrorShape::kOpenAi};
    route.open = open;
    route.pictures = pictures;
    router.add(std::move(route));
  };
  const std::pair<const char*, OpenAiTask> tasks[] = {{"/v1/images/generations", OpenAiTask::kGenerate},
                                                      {"/v1/images/edits", OpenAiTask::kEdit},
                                                      {"/v1/images/variations", OpenAiTask::kVary}};
  for (const auto& row : tasks)
    add(
        "POST", row.first,
        [&context, links, task = row.second](const http::ExchangePtr& exchange) {
          draw_openai(context, *links, exchange, task);
        },
        false, true);
  add("GET", "/v1/models", [&context](const http::ExchangePtr& exchange) { list_models(context, exchange); });
  add("GET", "/v1/models/{id}",
      [&context](const http::ExchangePtr& exchange) { show_openai_model(context, exchange); });
  add(
      "GET", "/v1/files/img/{file}",
      [&context, links](const http::ExchangePtr& exchange) {
        exchange->reply(links->fetch(context.service, std::string(exchange->request().capture("file"))));
      },
      true);
}

}  // namespace inkstone::serve
