#include "serve/api/answers.h"

#include <algorithm>

#include "base/base64.h"
#include "base/image_file.h"
#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/request_json.h"
#include "diffusion/scheduler.h"
#include "serve/api/fault.h"
#include "serve/api/limits.h"
#include "serve/images/enlarged_png.h"

namespace inkstone::serve {
namespace {

int status_of_code(std::string_view code) {
  struct Row {
    std::string_view code;
    int status;
  };
  static constexpr Row kRows[] = {
      {"invalid", 400},    {"bad_request", 400}, {"conflict", 409}, {"queue_full", 429},    {"quota", 429},
      {"nan_output", 500}, {"worker_died", 500}, {"internal", 500}, {"out_of_memory", 503}, {"shutting_down", 503},
      {"too_long", 503},   {"not_ready", 503},   {"draining", 503}, {"deadline", 503},      {"model_changed", 503}};
  for (const Row& row : kRows)
    if (row.code == code) return row.status;
  return 500;
}

}  // namespace

http::Error error_of(const Rejection& rejection) {
  const int status = status_of_code(rejection.code);
  double retry_after = rejection.retry_after;
  if (status == 429 && retry_after == 0) retry_after = kSoon;
  return {status, rejection.code == "invalid" ? "invalid_value" : rejection.code, rejection.message, rejection.field,
          retry_after};
}

http::Error error_of(const Failure& failure) {
  const int status = failure.code == "deadline" ? 504 : status_of_code(failure.code);
  const bool again = failure.again || failure.code == "shutting_down";
  return {status, failure.code, failure.message, "", again ? kSoon : 0};
}

std::optional<http::Error> error_of(const OrderState& order) {
  for (const ImageState& image : order.images)
    if (image.stage == Stage::kFailed) return error_of(image.failure);
  for (const ImageState& image : order.images)
    if (image.stage == Stage::kCancelled) return http::Error{409, "cancelled", "the job was cancelled", "", 0};
  for (const ImageState& image : order.images)
    if (image.stage == Stage::kDone && !image.file)
      return http::Error{410, "gone", "the images are no longer kept", "", 0};
  return std::nullopt;
}

const OrderState& submit(ImageService& service, Order order, bool* repeated) {
  const SubmitResult submitted = service.submit(std::move(order));
  if (!submitted.order) throw ApiFault(error_of(submitted.rejection));
  if (repeated) *repeated = submitted.repeated;
  return *submitted.order;
}

const OrderState& order_of(ImageService& service, const http::Request& request) {
  const std::string_view id = request.capture("id");
  const OrderState* order = service.find(id, request.client);
  if (!order)
    refuse(404, "not_found", "no job of yours has the id \"" + shown(id) + "\"; ended jobs are kept for some minutes");
  return *order;
}

std::string data_url(std::string_view media_type, std::string_view bytes) {
  return "data:" + std::string(media_type) + ";base64," + base64(bytes);
}

std::string preview_png(const ImageState& image) {
  return enlarged_png(*image.preview, image.preview->width, image.preview->height);
}

JsonObject timings_json(const ImageTimes& times) {
  return {{"queued", times.queued}, {"text_encoder", times.text_encoder}, {"unet", times.unet},
          {"vae", times.vae},       {"encoding", times.encoding},         {"total", times.total}};
}

ImageTimes times_of(const OrderState& order) {
  ImageTimes sum;
  for (const ImageState& image : order.images) {
    const ImageTimes& times = image.times;
    sum.queued = std::max(sum.queued, times.queued);
    sum.text_encoder += times.text_encoder;
    sum.unet += times.unet;
    sum.vae += times.vae;
    sum.encoding += times.encoding;
    sum.total = std::max(sum.total, times.total);
  }
  return sum;
}

JsonObject parameters_json(const OrderState& order) {
  JsonObject json = request_json(order.order.images.front()->said());
  json["num_images_per_prompt"] = order.order.images.size();
  json["output_format"] = format_name(order.order.format);
  if (order.order.format != ImageFormat::kPng) json["quality"] = order.order.quality;
  json["model"] = order.order.model;
  if (order.order.refiner) {
    json["refiner"] = order.order.refiner->model;
    json["refiner_start"] = shortest(order.order.refiner->start);
  }
  JsonArray adapters;
  for (const AdapterTag& tag : order.order.adapters)
    adapters.emplace_back(adapter_text({tag.name, tag.text, tag.unet}));
  if (!adapters.empty()) json["loras"] = std::move(adapters);
  return json;
}

JsonArray warnings_json(const OrderState& order) {
  JsonArray json;
  const auto tell = [&](const std::vector<std::string>& warnings) {
    for (const std::string& warning : warnings)
      if (std::ranges::find(json, Json(warning)) == json.end()) json.emplace_back(warning);
  };
  for (const RequestPtr& image : order.order.images) tell(image->warnings);
  for (const ImageState& image : order.images) tell(image.warnings);
  return json;
}

JsonArray seeds_json(const OrderState& order) {
  JsonArray json;
  for (const RequestPtr& image : order.order.images) json.emplace_back(image->seed);
  return json;
}

std::string_view status_of(const OrderState& order) {
  const auto any = [&](Stage stage) {
    return std::ranges::any_of(order.images, [&](const ImageState& image) { return image.stage == stage; });
  };
  if (order.ended()) return any(Stage::kFailed) ? "failed" : any(Stage::kCancelled) ? "cancelled" : "done";
  const bool all_wait =
      std::ranges::all_of(order.images, [](const ImageState& image) { return image.stage == Stage::kQueued; });
  return all_wait ? "queued" : "running";
}

namespace {

StepCount steps_after(const OrderState& order, size_t image, int call) {
  const int steps = order.order.images[image]->steps;
  return {steps_done(call, order.images[image].calls, steps), steps};
}

}  // namespace

StepCount steps_of(const OrderState& order, size_t image) {
  return steps_after(order, image, order.images[image].call);
}

StepCount preview_steps_of(const OrderState& order, size_t image) {
  return steps_after(order, image, order.images[image].preview_call);
}

double progress_of(const ImageState& image) {
  if (image.stage == Stage::kDone) return 1;
  if (image.calls <= 0) return 0;
  return 0.99 * std::min(1.0, double(image.call) / image.calls);  // the rest is the pixels'
}

double progress_of(const OrderState& order) {
  double sum = 0;
  for (const ImageState& image : order.images) sum += progress_of(image);
  return order.images.empty() ? 0 : sum / double(order.images.size());
}

double seconds_left(const OrderState& order) {
  double max = 0;
  for (const ImageState& image : order.images)
    if (!ended(image.stage)) max = std::max(max, image.seconds_left);
  return max;
}

namespace {

enum class Detail { kRow, kFull };

JsonObject image_json(const OrderState& order, size_t index, Detail detail, std::string_view prefix) {
  const ImageState& image = order.images[index];
  const StepCount count = steps_of(order, index);
  JsonObject json{{"index", index},
                  {"status", stage_name(image.stage)},
                  {"seed", order.order.images[index]->seed},
                  {"step", count.step},
                  {"steps", count.steps},
                  {"progress", progress_of(image)},
                  {"attempt", image.attempt}};
  if (!ended(image.stage)) json["seconds_left"] = image.seconds_left;
  if (image.stage == Stage::kFailed)
    json["error"] = JsonObject{{"code", image.failure.code}, {"message", image.failure.message}};
  if (image.stage != Stage::kDone) return json;
  if (image.file) json["url"] = image_path(prefix, order, index);
  if (detail == Detail::kFull) json["parameters_text"] = image.parameters;
  json["timings"] = timings_json(image.times);
  if (image.cut_short) json["cut_short"] = true;
  return json;
}

JsonObject job_json(const OrderState& order, Detail detail, std::string_view prefix) {
  JsonArray images;
  for (size_t i = 0; i < order.images.size(); ++i) images.push_back(image_json(order, i, detail, prefix));
  JsonObject json{{"id", order.id},
                  {"status", status_of(order)},
                  {"created", order.created},
                  {"progress", progress_of(order)},
                  {"seeds", seeds_json(order)},
                  {"warnings", warnings_json(order)},
                  {"images", std::move(images)}};
  if (!order.order.tag.empty()) json["tag"] = order.order.tag;
  if (!order.ended()) {
    json["position"] = order.position;
    json["seconds_left"] = seconds_left(order);
  } else if (const auto error = error_of(order)) {
    json["error"] = JsonObject{{"code", error->code}, {"message", error->message}};
  }
  return json;
}

}  // namespace

std::string job_path(std::string_view prefix, const OrderState& order) {
  return std::string(prefix) + "/jobs/" + order.id;
}

std::string image_path(std::string_view prefix, const OrderState& order, size_t image) {
  return job_path(prefix, order) + "/images/" + std::to_string(image);
}

JsonObject job_json(const OrderState& order, std::string_view prefix) {
  JsonObject json = job_json(order, Detail::kFull, prefix);
  json["parameters"] = parameters_json(order);
  return json;
}

JsonObject job_row_json(const OrderState& order, std::string_view prefix) {
  return job_json(order, Detail::kRow, prefix);
}

http::Reply json_reply(int status, const Json& json) {
  http::Reply reply;
  reply.status = status;
  reply.body = json_text(json);
  reply.headers.emplace_back("cache-control", "no-store");
  return reply;
}

http::Reply shared_json_reply(std::shared_ptr<const std::string> json) {
  http::Reply reply;
  reply.shared_body = std::move(json);
  reply.headers.emplace_back("cache-control", "no-store");
  return reply;
}

http::Reply job_reply(int status, const OrderState& order, std::string_view prefix) {
  return json_reply(status, job_json(order, prefix));
}

namespace {

// Of a text that may name what stood in a prompt.
std::string header_text(std::string_view text) {
  std::string ascii(text);
  std::ranges::replace_if(
      ascii, [](char c) { return c < ' ' || c > '~'; }, '?');
  return ascii;
}

}  // namespace

http::Reply image_reply(const OrderState& order, size_t image) {
  http::Reply reply;
  reply.content_type = media_type(order.order.format);
  reply.shared_body = order.images[image].file;
  reply.headers = {{"cache-control", "private, max-age=300"},
                   {"x-content-type-options", "nosniff"},
                   {"inkstone-job", order.id},
                   {"inkstone-seed", std::to_string(order.order.images[image]->seed)}};
  for (const Json& warning : warnings_json(order))
    reply.headers.emplace_back("inkstone-warning", header_text(warning.as_string()));
  return reply;
}

}  // namespace inkstone::serve
