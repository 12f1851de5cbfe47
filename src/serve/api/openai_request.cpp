#include "serve/api/openai_request.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/utf8.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"
#include "serve/api/refiner_request.h"
#include "serve/api/request_reader.h"

namespace inkstone::serve {
namespace {

// Our own fields are taken as well. A list of one image comes as "image[]".
const std::vector<FieldName>& openai_names() {
  static const std::vector<FieldName> all = [] {
    constexpr std::string_view kSides[] = {"width", "height"};
    std::vector<FieldName> names = own_names(kSides);
    names.push_back({"steps", "num_inference_steps"});
    names.push_back({"image[]", "image"});
    for (const std::string_view side : kSides) names.push_back({"size", side, false});
    return names;
  }();
  return all;
}

const FieldInfo kOpenAiOwnFields[] = {
    {"model", "string", "A model's id, as GET /v1/models lists it.", "null"},
    adapters_field(),
    {"n", "integer", "number of images [1]", "2"},
    {"size", "string", "auto, or WIDTHxHEIGHT.", "\"512x512\""},
    {"quality", "string", "accepted; it has no effect", "\"high\""},
    {"response_format", "string", "url or b64_json [url]", "\"b64_json\""},
    {"output_format", "string", "png, jpeg or webp.", "\"jpeg\""},
    {"output_compression", "integer", "0 to 100: the quality of jpeg and webp.", "80"},
    {"stream", "boolean", "Server-sent events; images as base64.", "false"},
    {"partial_images", "integer", "0 to 3 previews in a stream.", "2"},
    {"background", "string", "opaque or auto.", "\"auto\""},
    {"moderation", "string", "accepted; it has no effect", "\"low\""},
    {"style", "string", "accepted; it has no effect", "\"vivid\""},
    {"input_fidelity", "string", "accepted; it has no effect", "\"high\""},
    {"user", "string", "accepted; it has no effect", "\"u1\""},
};

constexpr std::string_view kAnswers[] = {"url", "b64_json"};
constexpr std::string_view kBackgrounds[] = {"auto", "opaque"};

// By the header of the file alone.
bool may_be_transparent(std::span<const std::byte> file) {
  constexpr size_t kColourType = 25, kWebpFlags = 20, kLosslessFlags = 24;
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 64 << 10));
  const auto at = [&](size_t place) { return place < text.size() ? static_cast<uint8_t>(text[place]) : 0; };
  if (text.substr(0, 16).ends_with("VP8X")) return (at(kWebpFlags) & 0x10) != 0;
  if (text.substr(0, 16).ends_with("VP8L")) return (at(kLosslessFlags) & 0x10) != 0;
  const bool alpha =
      at(kColourType) == 4 || at(kColourType) == 6 || text.substr(0, text.find("IDAT")).find("tRNS") != text.npos;
  return text.starts_with("\x89PNG") && alpha;
}

void read_openai_size(const Fields& fields, ImageRequest& image) {
  constexpr const char* kRule = "\"auto\" or WIDTHxHEIGHT, as \"512x512\"";
  if (const Json* raw = fields.object().if_contains("size"); raw && *raw == "") fields.wrong("size", kRule);
  const auto size = fields.text("size", kMaxWordBytes);
  if (!size || *size == "auto") return;
  int sides[2] = {0, 0};
  const char *at = size->data(), *end = at + size->size();
  for (int& side : sides) {
    const auto [next, fault] = std::from_chars(at, end, side);
    const bool last = &side == &sides[1];
    if (fault != std::errc() || side <= 0 || (last ? next != end : next == end || *next != 'x'))
      fields.wrong("size", kRule);
    at = next + 1;
  }
  image.width = sides[0];
  image.height = sides[1];
}

// There a mask is a picture whose transparent part is drawn anew.
void read_openai_mask(ImageRequest& image) {
  if (!image.mask) return;
  if (!may_be_transparent(image.mask->bytes))
    refuse(400, "invalid_value", "\"mask\" has no transparency: its transparent part is what is drawn anew", "mask");
  image.mask_invert = !image.mask_invert.value_or(false);
  if (!image.strength) image.strength = 1.0f;
}

ImageRequest read_openai_image(const Fields& fields, OpenAiTask task) {
  constexpr float kVaried = 0.6f;  // of the image, where nobody says
  ImageRequest image = read_request(fields, openai_names());
  const auto demand = [](bool there, const std::string& name) {
    if (!there) refuse(400, "missing_required_parameter", "Missing required parameter: '" + name + "'.", name);
  };
  if (task != OpenAiTask::kGenerate) demand(image.image.has_value(), "image");
  if (task == OpenAiTask::kVary) {
    if (!image.prompt) image.prompt = "";
    if (!image.strength) image.strength = kVaried;
  }
  demand(image.prompt.has_value(), "prompt");
  if (task == OpenAiTask::kEdit) read_openai_mask(image);
  read_openai_size(fields, image);
  return image;
}

void read_openai_format(const Fields& fields, Order& order) {
  read_format(fields, order);
  if (const auto quality = fields.integer("output_compression", 0, 100))
    order.quality = std::max(1, static_cast<int>(*quality));
}

void read_what_has_no_effect(const Fields& fields) {
  fields.choice("background", kBackgrounds);  // a transparent one would be another image
  for (const std::string_view name : {"quality", "moderation", "style", "input_fidelity", "user"})
    fields.text(name, kMaxPromptBytes);
}

}  // namespace

std::span<const FieldInfo> openai_fields() {
  static const std::vector<FieldInfo> all = with_refiner(api_table(openai_names(), kOpenAiOwnFields));
  return all;
}

OpenAiRequest openai_request(const http::Request& request, const Fields& fields, const ApiContext& context,
                             OpenAiTask task) {
  OpenAiRequest result;
  result.order = order_from(request, "openai");
  const std::string model = fields.text("model", kMaxWordBytes).value_or("");
  const ModelCard& card = asked_model(context, model);
  const Limits limits = limits_of(context, card);
  result.order.model = card.name;
  const int count = static_cast<int>(fields.integer("n", 1, limits.max_images).value_or(1));
  ImageRequest image = read_openai_image(fields, task);
  take_adapters(context.service, fields, image, result.order);
  result.order.images = resolve_images(fields, openai_names(), image, card, limits, count);
  take_refiner(context, fields, image, card, result.order);
  read_openai_format(fields, result.order);
  read_what_has_no_effect(fields);
  // OpenAI's own models of this name answer in base64 alone, and their clients read nothing else.
  const bool in_base64 = model.starts_with("gpt-image");
  result.urls = fields.choice("response_format", kAnswers).value_or(in_base64 ? "b64_json" : "url") == "url";
  result.stream = fields.flag("stream").value_or(false);
  result.partial_images = static_cast<int>(fields.integer("partial_images", 0, 3).value_or(0));
  result.order.previews = result.stream && result.partial_images > 0;
  return result;
}

}  // namespace inkstone::serve
