#include "serve/api/event_stream.h"

#include <vector>

#include "base/image_file.h"
#include "base/json.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/order_listener.h"

namespace inkstone::serve {
namespace {

class OrderStream : public OrderListener {
 public:
  OrderStream(ImageService& service, const http::ExchangePtr& exchange, ImagesAs images)
      : OrderListener(service, exchange), images_(images) {}

 protected:
  void begun(const OrderState& order) override {
    told_.resize(order.images.size());
    for (Told& told : told_) told.position = order.position;
    exchange().begin_stream(event_stream_head());
    say("queued", {{"id", order.id},
                   {"status", status_of(order)},
                   {"images", order.images.size()},
                   {"seeds", seeds_json(order)},
                   {"parameters", parameters_json(order)},
                   {"warnings", warnings_json(order)},
                   {"progress", progress_of(order)},
                   {"position", order.position},
                   {"seconds_left", seconds_left(order)}});
    for (size_t i = 0; i < order.images.size(); ++i) progressed(order, i);
  }

  void progressed(const OrderState& order, size_t index) override {
    tell_step(order, index);
    tell_preview(order, index);
    tell_image(order, index);
  }

  void finished(const OrderState& order) override {
    for (size_t i = 0; i < order.images.size(); ++i) tell_image(order, i);
    if (const auto error = error_of(order)) {
      tell_error(*error);
    } else {
      say("done", {{"id", order.id},
                   {"status", status_of(order)},
                   {"seeds", seeds_json(order)},
                   {"parameters", parameters_json(order)},
                   {"timings", timings_json(times_of(order))},
                   {"warnings", warnings_json(order)}});
    }
    exchange().end_stream();
  }

  void broken() override {
    tell_error({500, "internal", "something went wrong here", "", 0});
    exchange().end_stream();
  }

 private:
  struct Told {
    int step = 0, preview_call = 0, attempt = 1, position = 0;
    Stage stage = Stage::kQueued;
    bool done = false;
  };

  void say(std::string_view name, JsonObject data) { exchange().write(event_text(name, std::move(data))); }

  void tell_error(const http::Error& error) {
    const http::Reply reply = http::error_reply(http::ErrorShape::kOwn, error, exchange().request().id);
    exchange().write("event: error\ndata: " + reply.body + "\n\n");
  }

  void tell_step(const OrderState& order, size_t index) {
    const ImageState& image = order.images[index];
    Told& told = told_[index];
    const StepCount count = steps_of(order, index);
    const bool same = told.step == count.step && told.stage == image.stage && told.attempt == image.attempt;
    const bool moved = image.stage == Stage::kQueued && told.position != order.position;
    if ((same && !moved) || exchange().unsent() > kMaxUnsentForSteps) return;
    told.step = count.step;
    told.stage = image.stage;
    told.attempt = image.attempt;
    told.position = order.position;
    say("step", {{"index", index},
                 {"stage", stage_name(image.stage)},
                 {"step", count.step},
                 {"steps", count.steps},
                 {"progress", progress_of(order)},
                 {"seconds_left", seconds_left(order)},
                 {"position", order.position},
                 {"attempt", image.attempt}});
  }

  void tell_preview(const OrderState& order, size_t index) {
    const ImageState& image = order.images[index];
    if (!image.preview || image.preview_call == told_[index].preview_call || ended(image.stage)) return;
    if (exchange().unsent() > kMaxUnsentForPreviews) return;
    told_[index].preview_call = image.preview_call;
    const StepCount count = preview_steps_of(order, index);
    say("preview", {{"index", index},
                    {"step", count.step},
                    {"steps", count.steps},
                    {"image", data_url("image/png", preview_png(image))}});
  }

  void tell_image(const OrderState& order, size_t index) {
    const ImageState& image = order.images[index];
    if (image.stage != Stage::kDone || !image.file || told_[index].done) return;
    told_[index].done = true;
    JsonObject data{{"index", index},
                    {"seed", order.order.images[index]->seed},
                    {"url", image_path(exchange().request().prefix, order, index)},
                    {"parameters_text", image.parameters},
                    {"timings", timings_json(image.times)}};
    if (images_ == ImagesAs::kDataUrls) data["image"] = data_url(media_type(order.order.format), *image.file);
    say("image", std::move(data));
  }

  ImagesAs images_;
  std::vector<Told> told_;
};

}  // namespace

std::string event_text(std::string_view name, const Json& data) {
  return "event: " + std::string(name) + "\ndata: " + json_text(data) + "\n\n";
}

http::Reply event_stream_head() {
  http::Reply head;
  head.content_type = "text/event-stream";
  head.headers = {{"cache-control", "no-store"}, {"x-accel-buffering", "no"}};
  return head;
}

void stream_order(ImageService& service, const http::ExchangePtr& exchange, const OrderState& order, ImagesAs images) {
  std::make_shared<OrderStream>(service, exchange, images)->start(order);
}

}  // namespace inkstone::serve
