// POST /sdapi/v1/png-info: the texts in an image that the client sends. Nothing is fetched and no
// pixel decoded.
#include <algorithm>
#include <utility>

#include "serve/api/a1111.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/fields.h"
#include "serve/api/png_texts.h"
#include "serve/support/base64.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxBody = 8 << 20;

std::string decoded(std::string_view text) {
  if (text.starts_with("http://") || text.starts_with("https://"))
    refuse(422, "not_supported", "Requests not allowed: send the image as base64", "image");
  if (text.starts_with("data:")) {
    const size_t comma = text.find(";base64,");
    if (comma == text.npos || comma > 64) refuse(400, "invalid_image", "Invalid encoded image", "image");
    text.remove_prefix(comma + 8);
  }
  auto bytes = unbase64(text);
  if (!bytes) refuse(400, "invalid_image", "Invalid encoded image: not base64", "image");
  return std::move(*bytes);
}

void show_png_info(A1111State&, const http::ExchangePtr& exchange) {
  const Fields fields = Fields::of_body(exchange->request(), Manner::kLenient);
  const Json* image = fields.find("image");
  if (!image || !image->is_string()) fields.wrong("image", "a PNG file in base64");
  const TextChunks texts = png_texts(decoded(image->as_string()));
  JsonObject items;
  std::string infotext;
  for (const auto& [keyword, text] : texts) {
    items[keyword] = text;
    if (keyword == "parameters") infotext = text;
  }
  JsonObject parameters;
  if (!infotext.empty()) parameters = infotext_json(infotext);
  exchange->reply(json_reply(
      200, JsonObject{{"info", infotext}, {"items", std::move(items)}, {"parameters", std::move(parameters)}}));
}

}  // namespace

void add_a1111_png_info(http::Router& router, const std::shared_ptr<A1111State>& state) {
  add_a1111_route(router, state, "POST", "png-info", show_png_info, kMaxBody);
}

}  // namespace inkstone::serve
