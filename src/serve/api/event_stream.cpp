#include "serve/api/event_stream.h"

#include <vector>

#include "base/json.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/order_listener.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

class OrderStream : public OrderListener {
 public:
  OrderStream(Desk& desk, const ExchangePtr& exchange, PicturesAs pictures)
      : OrderListener(desk, exchange), pictures_(pictures) {}

 protected:
  void begun(const OrderState& order) override {
    told_.resize(order.pictures.size());
    exchange().begin_stream(event_stream_head());
    say("queued", {{"id", order.id},
                   {"status", status_of(order)},
                   {"pictures", order.pictures.size()},
                   {"seeds", seeds_json(order)},
                   {"position", order.position},
                   {"seconds_left", seconds_left(order)}});
    for (size_t i = 0; i < order.pictures.size(); ++i) tell_picture(order, i);
  }

  void progressed(const OrderState& order, size_t index) override {
    tell_step(order, index);
    tell_preview(order, index);
    tell_picture(order, index);
  }

  void finished(const OrderState& order) override {
    for (size_t i = 0; i < order.pictures.size(); ++i) tell_picture(order, i);
    if (const auto error = error_of(order)) {
      tell_error(*error);
    } else {
      say("done", {{"id", order.id},
                   {"status", status_of(order)},
                   {"seeds", seeds_json(order)},
                   {"parameters", parameters_json(order, desk().model())},
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
    int call = -1, preview_call = 0, attempt = 1;
    Stage stage = Stage::kQueued;
    bool done = false;
  };

  void say(std::string_view name, JsonObject data) { exchange().write(event_text(name, std::move(data))); }

  void tell_error(const HttpError& error) {
    const HttpReply reply = error_reply(ErrorShape::kOwn, error, exchange().request().id);
    exchange().write("event: error\ndata: " + reply.body + "\n\n");
  }

  void tell_step(const OrderState& order, size_t index) {
    const PictureState& picture = order.pictures[index];
    Told& told = told_[index];
    const bool same = told.call == picture.call && told.stage == picture.stage && told.attempt == picture.attempt;
    if (same || exchange().unsent() > kMostUnsentForSteps) return;
    told.call = picture.call;
    told.stage = picture.stage;
    told.attempt = picture.attempt;
    say("step", {{"picture", index},
                 {"stage", stage_name(picture.stage)},
                 {"step", picture.call},
                 {"steps", picture.calls},
                 {"progress", progress_of(order)},
                 {"seconds_left", picture.seconds_left},
                 {"position", order.position},
                 {"attempt", picture.attempt}});
  }

  void tell_preview(const OrderState& order, size_t index) {
    const PictureState& picture = order.pictures[index];
    if (!picture.preview || picture.preview_call == told_[index].preview_call || ended(picture.stage)) return;
    if (exchange().unsent() > kMostUnsentForPreviews) return;
    told_[index].preview_call = picture.preview_call;
    say("preview", {{"picture", index},
                    {"step", picture.preview_call},
                    {"steps", picture.calls},
                    {"image", data_url("image/png", preview_png(picture))}});
  }

  void tell_picture(const OrderState& order, size_t index) {
    const PictureState& picture = order.pictures[index];
    if (picture.stage != Stage::kDone || !picture.file || told_[index].done) return;
    told_[index].done = true;
    JsonObject data{{"picture", index},
                    {"seed", order.order.pictures[index].seed},
                    {"url", "/jobs/" + order.id + "/images/" + std::to_string(index)},
                    {"parameters_text", picture.parameters},
                    {"timings", timings_json(picture.times)}};
    if (pictures_ == PicturesAs::kDataUrls) data["image"] = data_url(media_type(order.order.format), *picture.file);
    say("picture", std::move(data));
  }

  PicturesAs pictures_;
  std::vector<Told> told_;
};

}  // namespace

std::string event_text(std::string_view name, const Json& data) {
  return "event: " + std::string(name) + "\ndata: " + json_text(data) + "\n\n";
}

HttpReply event_stream_head() {
  HttpReply head;
  head.content_type = "text/event-stream";
  head.headers = {{"cache-control", "no-store"}, {"x-accel-buffering", "no"}};
  return head;
}

void stream_order(Desk& desk, const ExchangePtr& exchange, const OrderState& order, PicturesAs pictures) {
  std::make_shared<OrderStream>(desk, exchange, pictures)->start(order);
}

}  // namespace inkstone
