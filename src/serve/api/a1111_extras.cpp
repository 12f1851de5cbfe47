#include "serve/api/a1111_extras.h"

#include <algorithm>
#include <cmath>

#include "base/base64.h"
#include "base/json.h"
#include "base/picture.h"
#include "diffusion/parameters.h"
#include "serve/api/a1111_upscalers.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"
#include "serve/api/order_listener.h"
#include "serve/api/png_texts.h"
#include "serve/api/request_reader.h"

namespace inkstone::serve {
namespace {

constexpr double kMostScale = 8;

// What faults of our fields are called.
constexpr FieldName kExtrasNames[] = {{"image", "image", false},
                                      {"imageList", "image", false},
                                      {"upscaler_1", "upscaler", false},
                                      {"upscaler_2", "second_upscaler", false},
                                      {"extras_upscaler_2_visibility", "second_upscaler_part", false},
                                      {"upscaling_resize_w", "width", false},
                                      {"upscaling_resize", "width", false}};

const FieldInfo kSingleFields[] = {
    {"image", "string", "In base64 or as a data URL: PNG, JPEG or WebP.", "\"\""},
    {"resize_mode", "integer", "0: upscaling_resize times as large; 1: as upscaling_resize_w and _h say.", "0"},
    {"upscaling_resize", "number", "So many times as large, 1 to 8.", "2"},
    {"upscaling_resize_w", "integer", "Pixels, with resize_mode 1.", "512"},
    {"upscaling_resize_h", "integer", "Pixels, with resize_mode 1.", "512"},
    {"upscaling_crop", "boolean",
     "With resize_mode 1: what sticks out of that size is cut off; false: it stays, and the image is larger.", "true"},
    {"upscaler_1", "string", "One of GET /sdapi/v1/upscalers; None: the image stays as large as it is.", "\"None\""},
    {"upscaler_2", "string", "A second one, whose image is laid over the first one's.", "\"None\""},
    {"extras_upscaler_2_visibility", "number", "How much of it is seen, 0 to 1.", "0"},
    {"gfpgan_visibility", "number", "0.", "0"},
    {"codeformer_visibility", "number", "0.", "0"},
    {"codeformer_weight", "number", "Without effect.", "0"},
    {"upscale_first", "boolean", "Without effect.", "false"},
    {"show_extras_results", "boolean", "Without effect.", "true"},
};

bool is_no_upscaler(const std::string& name) { return name.empty() || name == "None"; }

// Of the result, by the picture's.
struct Sizes {
  int width = 0, height = 0;
  bool cut = false;
};

Sizes extras_size(const Fields& fields, const PictureSize& picture) {
  const auto times = [&](double factor) {
    const auto side = [&](int64_t from) {
      return static_cast<int>(
          std::clamp(std::lround(static_cast<double>(from) * factor), 1L, long{kMaxImageSide} * 16));
    };
    return Sizes{side(picture.width), side(picture.height)};
  };
  if (fields.integer("resize_mode", 0, 1).value_or(0) == 0)
    return times(fields.number("upscaling_resize", 1, kMostScale).value_or(2));
  const auto side = [&](const char* name) {
    return static_cast<int>(fields.integer(name, 1, kMaxImageSide).value_or(512));
  };
  const int width = side("upscaling_resize_w"), height = side("upscaling_resize_h");
  if (fields.flag("upscaling_crop").value_or(true)) return {width, height, true};
  return times(std::max(static_cast<double>(width) / static_cast<double>(picture.width),
                        static_cast<double>(height) / static_cast<double>(picture.height)));
}

ImageRequest enlargement_of(const Fields& fields, const GivenFile& picture) {
  const auto text = [&](const char* name) { return fields.text(name, kMaxWordBytes).value_or(""); };
  ImageRequest request;
  request.image = picture;
  const std::string first = text("upscaler_1"), second = text("upscaler_2");
  request.upscaler = a1111_upscaler(is_no_upscaler(first) ? "None" : first);
  const auto part = static_cast<float>(fields.number("extras_upscaler_2_visibility", 0, 1).value_or(0));
  const PictureSize from = size_of_picture(picture);
  Sizes size{static_cast<int>(from.width), static_cast<int>(from.height)};
  if (!is_no_upscaler(first)) size = extras_size(fields, from);
  if (!is_no_upscaler(first) && !is_no_upscaler(second) && part > 0) {
    request.second_upscaler = a1111_upscaler(second);
    request.second_upscaler_part = part;
  }
  request.width = size.width;
  request.height = size.height;
  request.resize_mode = size.cut ? "crop" : "stretch";
  return request;
}

std::vector<GivenFile> extras_pictures(const Fields& fields, A1111Extras extras) {
  if (extras == A1111Extras::kSingle) {
    std::optional<GivenFile> picture = fields.file("image");
    if (!picture) refuse(400, "missing_parameter", "\"image\" is missing: a picture in base64", "image");
    return {std::move(*picture)};
  }
  constexpr const char* kAllowed = "a list of objects with data, an image in base64, and name";
  const Json* list = fields.find("imageList");
  if (!list || !list->is_array() || list->as_array().empty()) fields.wrong("imageList", kAllowed);
  std::vector<GivenFile> pictures;
  for (const Json& item : list->as_array()) {
    const JsonObject* object = item.if_object();
    const Json* data = object ? object->if_contains("data") : nullptr;
    if (!data) fields.wrong("imageList", kAllowed);
    pictures.push_back(fields.file_in("imageList", *data));
  }
  return pictures;
}

// What it was drawn by, which its larger image keeps; "" where its texts cannot be read, too.
std::string parameters_in(const GivenFile& picture) {
  try {
    for (const auto& [keyword, text] : picture_texts(picture))
      if (keyword == "parameters" && text.size() <= kMaxPromptBytes) return text;
  } catch (const ApiFault&) {
  }
  return "";
}

void refuse_faces(const Fields& fields) {
  for (const char* name : {"gfpgan_visibility", "codeformer_visibility"})
    if (fields.number(name, 0, 1).value_or(0) > 0)
      refuse(422, "not_supported",
             std::string(name) + " is not supported here: faces are not restored; leave it out, or 0", name);
}

Order extras_order(A1111State& state, const http::Request& request, const Fields& fields, A1111Extras extras) {
  refuse_faces(fields);
  Order order = order_from(request, "a1111");
  const ModelCard& card = ready_model(state.context.service);
  const Limits limits = limits_of(state.context, card);
  order.model = card.name;
  const std::vector<GivenFile> pictures = extras_pictures(fields, extras);
  if (pictures.size() > static_cast<size_t>(limits.max_images))
    refuse(400, "invalid_value",
           "imageList has " + std::to_string(pictures.size()) + " images; at most " +
               std::to_string(limits.max_images) + " are taken",
           "imageList");
  for (const GivenFile& picture : pictures) {
    order.kept_parameters.push_back(parameters_in(picture));
    order.images.push_back(
        resolve_images(fields, kExtrasNames, enlargement_of(fields, picture), card, limits, 1).front());
  }
  read_file_options(state.options.of(request.client, state.context), order);
  return order;
}

std::string extras_text(const OrderState& order, A1111Extras extras) {
  JsonArray images;
  std::string info;
  for (size_t i = 0; i < order.images.size(); ++i) {
    images.emplace_back(base64(*order.images[i].file));
    info += "<p>" + parameters_text(*order.order.images[i], "") + "</p>";
  }
  JsonObject json{{"html_info", std::move(info)}};
  if (extras == A1111Extras::kSingle)
    json["image"] = std::move(images.front());
  else
    json["images"] = std::move(images);
  return json_text(json);
}

void draw_extras(A1111State& state, const http::ExchangePtr& exchange, A1111Extras extras) {
  ApiContext& context = state.context;
  const Fields fields = Fields::of_body(exchange->request(), Manner::kLenient);
  const OrderState& order = submit(context.service, extras_order(state, exchange->request(), fields, extras));
  answer_when_ended(context.service, exchange, order, http::ErrorShape::kA1111,
                    [&context, extras](const OrderState& done) {
                      if (const auto error = error_of(done)) throw ApiFault(*error);
                      return shared_json_reply(
                          context.answers.of("a1111 extras " + done.id, [&] { return extras_text(done, extras); }));
                    });
}

}  // namespace

std::span<const FieldInfo> a1111_extras_fields(A1111Extras extras) {
  static const std::vector<FieldInfo> batch = [] {
    std::vector<FieldInfo> rows(std::begin(kSingleFields), std::end(kSingleFields));
    rows.front() = {"imageList", "array", "Objects with data, an image in base64, and name.", "[]"};
    return rows;
  }();
  if (extras == A1111Extras::kBatch) return batch;
  return kSingleFields;
}

void add_a1111_extras(http::Router& router, const std::shared_ptr<A1111State>& state) {
  for (const auto& [name, extras] :
       {std::pair("extra-single-image", A1111Extras::kSingle), std::pair("extra-batch-images", A1111Extras::kBatch)})
    add_a1111_route(
        router, state, "POST", name,
        [extras = extras](A1111State& here, const http::ExchangePtr& exchange) { draw_extras(here, exchange, extras); },
        true);
}

}  // namespace inkstone::serve
