#include "serve/api/openai_request.h"

#include <algorithm>
#include <charconv>

#include "base/random.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"

namespace inkstone::serve {
namespace {

constexpr int kMaxImages = 10;

constexpr FieldInfo kOpenAiFields[] = {
    {"prompt", "string", "What to draw.", "\"a fox\""},
    {"model", "string", "The served model's id, as GET /v1/models lists it.", "null"},
    {"n", "integer", "Images, 1 to 10.", "2"},
    {"size", "string", "auto, or WIDTHxHEIGHT.", "\"512x512\""},
    {"quality", "string", "Taken, without effect.", "\"high\""},
    {"response_format", "string", "url (if not said) or b64_json.", "\"b64_json\""},
    {"output_format", "string", "png, jpeg or webp.", "\"jpeg\""},
    {"output_compression", "integer", "0 to 100: the quality of jpeg and webp.", "80"},
    {"stream", "boolean", "Server-sent events; images as base64.", "false"},
    {"partial_images", "integer", "0 to 3 previews in a stream.", "2"},
    {"background", "string", "opaque or auto.", "\"auto\""},
    {"moderation", "string", "Taken, without effect.", "\"low\""},
    {"style", "string", "Taken, without effect.", "\"vivid\""},
    {"user", "string", "Taken, without effect.", "\"u1\""},
    {"negative_prompt", "string", "What not to draw.", "\"blurry\""},
    {"seed", "integer", "0 to 2^64-1; drawn if not said.", "7"},
    {"num_inference_steps", "integer", "Denoising steps.", "4"},
    {"steps", "integer", "The same.", "4"},
    {"guidance_scale", "number", "How closely to follow the prompt.", "5.5"},
    {"scheduler", "string", "As for POST /generate.", "\"euler\""},
    {"karras", "boolean", "As for POST /generate.", "false"},
    {"eta", "number", "As for POST /generate.", "0"},
};

constexpr std::string_view kQualities[] = {"auto", "standard", "hd", "low", "medium", "high"};
constexpr std::string_view kAnswers[] = {"url", "b64_json"};
constexpr std::string_view kOpenAiFormats[] = {"png", "jpeg", "webp"};
constexpr std::string_view kBackgrounds[] = {"auto", "opaque"};
constexpr std::string_view kModerations[] = {"auto", "low"};
constexpr std::string_view kStyles[] = {"vivid", "natural"};

void read_openai_size(const Fields& fields, const Limits& limits, ImageRequest& image) {
  const auto size = fields.text("size", kMaxWordBytes);
  if (!size || *size == "auto") return;
  int sides[2] = {0, 0};
  const char *at = size->data(), *end = at + size->size();
  for (int& side : sides) {
    const auto [next, fault] = std::from_chars(at, end, side);
    const bool last = &side == &sides[1];
    if (fault != std::errc() || side <= 0 || (last ? next != end : next == end || *next != 'x'))
      fields.wrong("size", "\"auto\" or WIDTHxHEIGHT, as \"512x512\"");
    at = next + 1;
  }
  check_size(fields, {"size", "size"}, limits, sides[0], sides[1]);
  image.width = sides[0];
  image.height = sides[1];
}

ImageRequest read_openai_image(const Fields& fields, const ModelCard& card, const Limits& limits) {
  ImageRequest image;
  image.width = card.width;
  image.height = card.height;
  const auto prompt = fields.text("prompt", kMaxPromptBytes);
  if (!prompt) refuse(400, "missing_required_parameter", "Missing required parameter: 'prompt'.", "prompt");
  image.prompt = *prompt;
  image.negative_prompt = fields.text("negative_prompt", kMaxPromptBytes).value_or("");
  image.seed = fields.seed("seed").value_or(random_seed());
  if (fields.has("steps") && fields.has("num_inference_steps"))
    refuse(400, "invalid_value", "\"steps\" and \"num_inference_steps\" are the same; say one of them", "steps");
  const std::string_view steps = fields.has("steps") ? "steps" : "num_inference_steps";
  image.steps = static_cast<int>(fields.integer(steps, 1, limits.max_steps).value_or(card.steps));
  image.guidance = static_cast<float>(fields.number("guidance_scale", 0, kMaxGuidance).value_or(card.guidance));
  read_openai_size(fields, limits, image);
  read_scheduler(fields, card, image);
  return image;
}

void read_openai_format(const Fields& fields, Order& order) {
  const auto format = fields.choice("output_format", kOpenAiFormats);
  if (format == "jpeg") order.format = ImageFormat::kJpeg;
  if (format == "webp") order.format = ImageFormat::kWebp;
  if (const auto quality = fields.integer("output_compression", 0, 100))
    order.quality = std::max(1, static_cast<int>(*quality));
}

void read_what_has_no_effect(const Fields& fields) {
  fields.choice("quality", kQualities);
  fields.choice("background", kBackgrounds);
  fields.choice("moderation", kModerations);
  fields.choice("style", kStyles);
  fields.text("user", kMaxPromptBytes);
}

}  // namespace

std::span<const FieldInfo> openai_fields() { return kOpenAiFields; }

void refuse_model(std::string_view name, const ModelCard& card) {
  refuse(404, "model_not_found", "The model '" + shown(name) + "' does not exist here; there is '" + card.name + "'.",
         "model");
}

OpenAiRequest openai_request(const http::Request& request, const Fields& fields, const ModelCard& card,
                             const Limits& limits) {
  OpenAiRequest result;
  result.order = order_from(request, "openai");
  if (const auto model = fields.text("model", kMaxWordBytes); model && *model != card.name) refuse_model(*model, card);
  const int count = static_cast<int>(fields.integer("n", 1, std::min(kMaxImages, limits.max_images)).value_or(1));
  result.order.images = series(read_openai_image(fields, card, limits), count, "seed");
  read_openai_format(fields, result.order);
  read_what_has_no_effect(fields);
  result.urls = fields.choice("response_format", kAnswers).value_or("url") == "url";
  result.stream = fields.flag("stream").value_or(false);
  result.partial_images = static_cast<int>(fields.integer("partial_images", 0, 3).value_or(0));
  result.order.previews = result.stream && result.partial_images > 0;
  return result;
}

}  // namespace inkstone::serve
