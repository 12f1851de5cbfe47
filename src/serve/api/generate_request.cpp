#include "serve/api/generate_request.h"

#include <algorithm>
#include <array>

#include "serve/api/accept.h"
#include "serve/api/fault.h"
#include "serve/images/image_file.h"

namespace inkstone::serve {
namespace {

constexpr FieldInfo kGenerateFields[] = {
    {"prompt", "string", "What to draw. At most 16 KiB; what is beyond the model's 77 tokens has no effect.",
     "\"a fox\""},
    {"negative_prompt", "string", "What not to draw.", "\"blurry\""},
    {"seed", "integer", "0 to 2^64-1; -1 or \"random\": drawn. 42 if not said. Image i of several has seed + i.", "7"},
    {"num_inference_steps", "integer", "Denoising steps.", "4"},
    {"guidance_scale", "number", "How closely to follow the prompt; 1 or less: no guidance.", "5.5"},
    {"width", "integer", "Pixels.", "512"},
    {"height", "integer", "Pixels.", "512"},
    {"scheduler", "string",
     "pndm, ddim, euler, euler-ancestral, dpm++-2m, dpm++-2m-sde, unipc or lcm; the model's own if not said.",
     "\"euler\""},
    {"karras", "boolean", "Karras' noise levels, with euler, dpm++-2m, dpm++-2m-sde and unipc.", "true"},
    {"eta", "number", "Noise added in each step, 0 to 1, with ddim.", "0"},
    {"num_images_per_prompt", "integer", "Images, with seeds that follow one another.", "2"},
    {"output_format", "string", "png, jpeg or webp; png if not said.", "\"webp\""},
    {"quality", "integer", "1 to 100, of jpeg and webp (100: lossless webp); 95 if not said.", "80"},
    {"priority", "string", "low, normal or high.", "\"low\""},
    {"deadline_ms", "integer",
     "Refused at once, or failed with 504, where it would not be done so many milliseconds from now.", "60000"},
    {"previews", "boolean", "Small images of the steps among the events; true if not said where the answer is events.",
     "false"},
    {"async", "boolean", "Answer 202 with the job's URL at once, as Prefer: respond-async.", "false"},
};

constexpr std::string_view kGenerateFormats[] = {"png", "jpeg", "webp"};
constexpr std::string_view kPriorities[] = {"low", "normal", "high"};

void read_generate_format(const Fields& fields, Order& order) {
  const auto format = fields.choice("output_format", kGenerateFormats);
  if (format == "jpeg") order.format = ImageFormat::kJpeg;
  if (format == "webp") order.format = ImageFormat::kWebp;
  order.quality = static_cast<int>(fields.integer("quality", 1, 100).value_or(order.quality));
}

void read_terms(const Fields& fields, Order& order) {
  constexpr int64_t kDay = 86'400'000;
  const auto priority = fields.choice("priority", kPriorities);
  if (priority == "low") order.priority = Priority::kLow;
  if (priority == "high") order.priority = Priority::kHigh;
  if (const auto deadline = fields.integer("deadline_ms", 1, kDay)) order.deadline = double(*deadline) / 1000;
}

ImageRequest read_generate_image(const Fields& fields, const ModelCard& card, const Limits& limits) {
  ImageRequest image;
  image.width = card.width;
  image.height = card.height;
  const auto prompt = fields.text("prompt", kMaxPromptBytes);
  if (!prompt) refuse(400, "missing_parameter", "\"prompt\" is missing: say what to draw", "prompt");
  image.prompt = *prompt;
  image.negative_prompt = fields.text("negative_prompt", kMaxPromptBytes).value_or("");
  image.seed = fields.seed("seed").value_or(image.seed);
  image.steps = static_cast<int>(fields.integer("num_inference_steps", 1, limits.max_steps).value_or(card.steps));
  image.guidance = static_cast<float>(fields.number("guidance_scale", 0, kMaxGuidance).value_or(card.guidance));
  read_size(fields, {"width", "height"}, limits, image);
  read_scheduler(fields, card, image);
  return image;
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

}  // namespace

std::span<const FieldInfo> generate_fields() { return kGenerateFields; }

Order order_from(const http::Request& request, std::string api) {
  constexpr size_t kMaxKey = 255;
  Order order;
  order.client = request.client;
  order.api = std::move(api);
  order.request_id = request.id;
  const std::string_view key = request.header("idempotency-key");
  const bool plain = std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; });
  if (key.size() > kMaxKey || !plain)
    refuse(400, "invalid_value", "Idempotency-Key: at most 255 printable ASCII characters without spaces",
           "Idempotency-Key");
  order.idempotency = key;
  return order;
}

Fields read_generate_fields(const http::Request& request) {
  Fields fields = Fields::of_body(request, Manner::kStrict);
  fields.add_query(request);
  fields.check_names(kGenerateFields);
  return fields;
}

GenerateRequest generate_request(const http::Request& request, const Fields& fields, const ModelCard& card,
                                 const Limits& limits) {
  GenerateRequest result;
  result.order = order_from(request, "generate");
  const int count = static_cast<int>(fields.integer("num_images_per_prompt", 1, limits.max_images).value_or(1));
  result.order.images = series(read_generate_image(fields, card, limits), count, "seed");
  read_generate_format(fields, result.order);
  read_terms(fields, result.order);
  result.answer = read_answer(request, fields, result.order);
  result.order.stays = result.answer == AnswerAs::kJobUrl;
  result.order.previews = fields.flag("previews").value_or(result.answer == AnswerAs::kEvents);
  return result;
}

}  // namespace inkstone::serve
