#include "serve/api/generate_request.h"

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "base/image_file.h"
#include "base/utf8.h"
#include "serve/api/accept.h"
#include "serve/api/fault.h"
#include "serve/api/multipart.h"
#include "serve/api/refiner_request.h"
#include "serve/api/request_reader.h"

namespace inkstone::serve {
namespace {

const std::vector<FieldName>& generate_names() {
  static const std::vector<FieldName> all = own_names();
  return all;
}

// Of the order; those of its images stand in the table of a request's fields.
const FieldInfo kOrderFields[] = {
    {"model", "string", "one of GET /v1/models by its name [the first of them]", "\"\""},
    adapters_field(),
    {"num_images_per_prompt", "integer", "number of images, with seeds that follow one another [1]", "2"},
    {"output_format", "string", "png, jpeg or webp [png]", "\"webp\""},
    {"quality", "integer", "1 to 100, of jpeg and webp; webp at 100 is lossless [95]", "80"},
    {"priority", "string", "low, normal or high [normal]", "\"low\""},
    {"deadline_ms", "integer",
     "the request is refused, or fails with 504, if it can't be done within so many milliseconds [none]", "60000"},
    {"previews", "boolean", "small images of the steps among the events [true if the answer is events]", "false"},
    {"async", "boolean", "answer 202 with the job's URL at once, as Prefer: respond-async does [false]", "false"},
};

constexpr std::string_view kPriorities[] = {"low", "normal", "high"};

void read_terms(const Fields& fields, Order& order) {
  constexpr int64_t kDay = 86'400'000;
  const auto priority = fields.choice("priority", kPriorities);
  if (priority == "low") order.priority = Priority::kLow;
  if (priority == "high") order.priority = Priority::kHigh;
  if (const auto deadline = fields.integer("deadline_ms", 1, kDay)) order.deadline = double(*deadline) / 1000;
}

// The answer's kind; an image's type that is accepted becomes the order's format.
AnswerAs read_answer(const http::Request& request, const Fields& fields, Order& order) {
  const bool async = fields.flag("async").value_or(false) || prefers_async(request.header("prefer"));
  const std::string_view own = media_type(order.format);
  std::vector<std::string_view> offers{"application/json", "text/event-stream", own};
  if (!fields.has("output_format"))
    for (const std::string_view type : {"image/png", "image/jpeg", "image/webp"})
      if (type != own) offers.push_back(type);
  const auto type = accepted(request.header("accept"), offers);
  if (async) return AnswerAs::kJobUrl;
  if (!type)
    refuse(406, "not_acceptable",
           "Accept: " + shown(request.header("accept")) +
               "; there are application/json, text/event-stream and the image's own type");
  if (*type == "text/event-stream") return AnswerAs::kEvents;
  if (*type == "application/json") return AnswerAs::kJson;
  if (order.images.size() > 1)
    refuse(406, "not_acceptable",
           "Accept: " + shown(request.header("accept")) + " is for one image, and " +
               std::to_string(order.images.size()) + " are asked for; take application/json");
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp})
    if (media_type(format) == *type) order.format = format;
  return AnswerAs::kImage;
}

// Of what came: a seed that the server draws is not in it.
std::string digest_of(const http::Request& request) {
  std::string text = request.method + "\n" + request.path + "\n";
  for (const auto& [name, value] : request.query) text += name + "=" + value + "\n";
  const std::string_view type = request.header("content-type");
  if (!is_form(type)) return sha256(text + sha256(request.body));
  for (const FormPart& part : parse_form(request.body, type))  // their boundary is drawn
    text += sha256(part.name) + (part.is_file ? " file " : " text ") + sha256(part.content) + "\n";
  return sha256(text);
}

}  // namespace

std::span<const FieldInfo> generate_fields() {
  static const std::vector<FieldInfo> all = with_refiner(api_table(generate_names(), kOrderFields));
  return all;
}

Order order_from(const http::Request& request, std::string api) {
  constexpr size_t kMaxKey = 255;
  Order order;
  order.client = request.client;
  order.api = std::move(api);
  order.request_id = request.id;
  order.trace = request.trace;
  const std::string_view key = request.header("idempotency-key");
  const bool plain = std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; });
  if (key.size() > kMaxKey || !plain)
    refuse(400, "invalid_value", "Idempotency-Key: at most 255 printable ASCII characters without spaces",
           "Idempotency-Key");
  order.idempotency = key;
  if (!key.empty()) order.asked = digest_of(request);
  return order;
}

Fields read_generate_fields(const http::Request& request) {
  Fields fields = Fields::of_body(request, Manner::kStrict);
  fields.add_query(request);
  fields.check_names(generate_fields());
  return fields;
}

GenerateRequest generate_request(const http::Request& request, const Fields& fields, const ApiContext& context) {
  GenerateRequest result;
  result.order = order_from(request, "generate");
  const ModelCard& card = asked_model(context, fields.text("model", kMaxWordBytes).value_or(""));
  const Limits limits = limits_of(context, card);
  result.order.model = card.name;
  const int count = static_cast<int>(fields.integer("num_images_per_prompt", 1, limits.max_images).value_or(1));
  ImageRequest image = read_request(fields, generate_names());
  if (!image.prompt) refuse(400, "missing_parameter", "\"prompt\" is missing: say what to draw", "prompt");
  take_adapters(context.service, fields, image, result.order);
  result.order.images = resolve_images(fields, generate_names(), image, card, limits, count);
  take_refiner(context, fields, image, card, result.order);
  read_format(fields, result.order);
  result.order.quality = static_cast<int>(fields.integer("quality", 1, 100).value_or(result.order.quality));
  read_terms(fields, result.order);
  result.answer = read_answer(request, fields, result.order);
  // Accept may choose the format.
  if (!result.order.asked.empty()) result.order.asked += format_name(result.order.format);
  result.order.stays = result.answer == AnswerAs::kJobUrl;
  result.order.previews = fields.flag("previews").value_or(result.answer == AnswerAs::kEvents);
  return result;
}

}  // namespace inkstone::serve
