#include "serve/api/answers.h"

#include <algorithm>

#include "base/json.h"
#include "serve/api/fault.h"
#include "serve/base64.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

int status_of_code(std::string_view code) {
  struct Row {
    std::string_view code;
    int status;
  };
  static constexpr Row kRows[] = {
      {"invalid", 400},    {"bad_request", 400}, {"conflict", 409}, {"queue_full", 429},    {"quota", 429},
      {"nan_output", 500}, {"worker_died", 500}, {"internal", 500}, {"out_of_memory", 503}, {"shutting_down", 503},
      {"too_long", 503},   {"not_ready", 503},   {"draining", 503}, {"deadline", 503}};
  for (const Row& row : kRows)
    if (row.code == code) return row.status;
  return 500;
}

constexpr double kSoon = 5;  // seconds, where nobody says when

}  // namespace

HttpError error_of(const Rejection& rejection) {
  const int status = status_of_code(rejection.code);
  double retry_after = rejection.retry_after;
  if (status == 429 && retry_after == 0) retry_after = kSoon;
  return {status, rejection.code == "invalid" ? "invalid_value" : rejection.code, rejection.message, rejection.field,
          retry_after};
}

HttpError error_of(const Failure& failure) {
  const int status = failure.code == "deadline" ? 504 : status_of_code(failure.code);
  const bool again = failure.again || failure.code == "shutting_down";
  return {status, failure.code, failure.message, "", again ? kSoon : 0};
}

std::optional<HttpError> error_of(const OrderState& order) {
  for (const PictureState& picture : order.pictures)
    if (picture.stage == Stage::kFailed) return error_of(picture.failure);
  for (const PictureState& picture : order.pictures)
    if (picture.stage == Stage::kCancelled) return HttpError{409, "cancelled", "the job was cancelled", "", 0};
  for (const PictureState& picture : order.pictures)
    if (picture.stage == Stage::kDone && !picture.file)
      return HttpError{410, "gone", "the pictures are no longer kept", "", 0};
  return std::nullopt;
}

const OrderState& place(Desk& desk, Order order, bool* repeated) {
  const Placed placed = desk.place(std::move(order));
  if (!placed.order) throw ApiFault(error_of(placed.rejection));
  if (repeated) *repeated = placed.repeated;
  return *placed.order;
}

const OrderState& order_of(Desk& desk, const HttpRequest& request) {
  const std::string_view id = request.capture("id");
  const OrderState* order = desk.find(id, request.client);
  if (!order)
    refuse(404, "not_found", "no job of yours has the id \"" + shown(id) + "\"; ended jobs are kept for some minutes");
  return *order;
}

std::string data_url(std::string_view media_type, std::string_view bytes) {
  return "data:" + std::string(media_type) + ";base64," + base64(bytes);
}

std::string preview_png(const PictureState& picture) {
  return enlarged_png(*picture.preview, picture.preview->width, picture.preview->height);
}

JsonObject timings_json(const PictureTimes& times) {
  return {{"queued", times.queued}, {"text_encoder", times.text_encoder}, {"unet", times.unet},
          {"vae", times.vae},       {"encoding", times.encoding},         {"total", times.total}};
}

PictureTimes times_of(const OrderState& order) {
  PictureTimes sum;
  for (const PictureState& picture : order.pictures) {
    const PictureTimes& times = picture.times;
    sum.queued = std::max(sum.queued, times.queued);
    sum.text_encoder += times.text_encoder;
    sum.unet += times.unet;
    sum.vae += times.vae;
    sum.encoding += times.encoding;
    sum.total = std::max(sum.total, times.total);
  }
  return sum;
}

JsonObject parameters_json(const OrderState& order, const ModelCard* card) {
  const PictureRequest& picture = order.order.pictures.front();
  JsonObject json{{"prompt", picture.prompt},
                  {"negative_prompt", picture.negative_prompt},
                  {"seed", picture.seed},
                  {"num_inference_steps", picture.steps},
                  {"guidance_scale", picture.guidance},
                  {"width", picture.width},
                  {"height", picture.height},
                  {"scheduler", picture.scheduler.empty() && card ? card->scheduler : picture.scheduler},
                  {"karras", picture.karras},
                  {"num_images_per_prompt", order.order.pictures.size()},
                  {"output_format", format_name(order.order.format)}};
  if (picture.eta) json["eta"] = *picture.eta;
  if (order.order.format != PictureFormat::kPng) json["quality"] = order.order.quality;
  if (card) json["model"] = card->name;
  return json;
}

JsonArray warnings_json(const OrderState& order) {
  JsonArray json;
  for (const PictureState& picture : order.pictures)
    for (const std::string& warning : picture.warnings)
      if (std::ranges::find(json, Json(warning)) == json.end()) json.emplace_back(warning);
  return json;
}

JsonArray seeds_json(const OrderState& order) {
  JsonArray json;
  for (const PictureRequest& picture : order.order.pictures) json.emplace_back(picture.seed);
  return json;
}

std::string_view status_of(const OrderState& order) {
  const auto any = [&](Stage stage) {
    return std::ranges::any_of(order.pictures, [&](const PictureState& picture) { return picture.stage == stage; });
  };
  if (order.ended()) return any(Stage::kFailed) ? "failed" : any(Stage::kCancelled) ? "cancelled" : "done";
  const bool all_wait =
      std::ranges::all_of(order.pictures, [](const PictureState& picture) { return picture.stage == Stage::kQueued; });
  return all_wait ? "queued" : "running";
}

double progress_of(const PictureState& picture) {
  if (picture.stage == Stage::kDone) return 1;
  if (picture.calls <= 0) return 0;
  return 0.99 * std::min(1.0, double(picture.call) / picture.calls);  // the rest is the pixels'
}

double progress_of(const OrderState& order) {
  double sum = 0;
  for (const PictureState& picture : order.pictures) sum += progress_of(picture);
  return order.pictures.empty() ? 0 : sum / double(order.pictures.size());
}

double seconds_left(const OrderState& order) {
  double most = 0;
  for (const PictureState& picture : order.pictures)
    if (!ended(picture.stage)) most = std::max(most, picture.seconds_left);
  return most;
}

namespace {

JsonObject picture_json(const OrderState& order, size_t index) {
  const PictureState& picture = order.pictures[index];
  JsonObject json{{"index", index},
                  {"status", stage_name(picture.stage)},
                  {"seed", order.order.pictures[index].seed},
                  {"step", picture.call},
                  {"steps", picture.calls},
                  {"progress", progress_of(picture)},
                  {"attempt", picture.attempt}};
  if (!ended(picture.stage)) json["seconds_left"] = picture.seconds_left;
  if (picture.stage == Stage::kFailed)
    json["error"] = JsonObject{{"code", picture.failure.code}, {"message", picture.failure.message}};
  if (picture.stage != Stage::kDone) return json;
  if (picture.file) json["url"] = "/jobs/" + order.id + "/images/" + std::to_string(index);
  json["parameters_text"] = picture.parameters;
  json["timings"] = timings_json(picture.times);
  if (picture.cut_short) json["cut_short"] = true;
  return json;
}

}  // namespace

JsonObject job_json(const OrderState& order, const ModelCard* card) {
  JsonArray pictures;
  for (size_t i = 0; i < order.pictures.size(); ++i) pictures.push_back(picture_json(order, i));
  JsonObject json{{"id", order.id},
                  {"status", status_of(order)},
                  {"created", order.created},
                  {"progress", progress_of(order)},
                  {"seeds", seeds_json(order)},
                  {"parameters", parameters_json(order, card)},
                  {"warnings", warnings_json(order)},
                  {"pictures", std::move(pictures)}};
  if (!order.order.tag.empty()) json["tag"] = order.order.tag;
  if (!order.ended()) {
    json["position"] = order.position;
    json["seconds_left"] = seconds_left(order);
  } else if (const auto error = error_of(order)) {
    json["error"] = JsonObject{{"code", error->code}, {"message", error->message}};
  }
  return json;
}

HttpReply json_reply(int status, const Json& json) {
  HttpReply reply;
  reply.status = status;
  reply.body = json_text(json);
  reply.headers.emplace_back("cache-control", "no-store");
  return reply;
}

HttpReply picture_reply(const OrderState& order, size_t picture) {
  HttpReply reply;
  reply.content_type = media_type(order.order.format);
  reply.body = *order.pictures[picture].file;
  reply.headers = {{"cache-control", "private, max-age=300"},
                   {"x-content-type-options", "nosniff"},
                   {"inkstone-job", order.id},
                   {"inkstone-seed", std::to_string(order.order.pictures[picture].seed)}};
  return reply;
}

}  // namespace inkstone
