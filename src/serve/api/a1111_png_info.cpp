// POST /sdapi/v1/png-info: the texts in an image that the client sends. Nothing is fetched and no
// pixel decoded.
#include <algorithm>
#include <optional>

#include "serve/api/a1111.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/fields.h"
#include "serve/api/png_texts.h"

namespace inkstone::serve {
namespace {

void show_png_info(A1111State&, const http::ExchangePtr& exchange) {
  const Fields fields = Fields::of_body(exchange->request(), Manner::kLenient);
  const std::optional<GivenFile> image = fields.file("image");
  if (!image) fields.wrong("image", "an image in base64");
  const TextChunks texts = picture_texts(*image);
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
  add_a1111_route(router, state, "POST", "png-info", show_png_info, true);
}

}  // namespace inkstone::serve
