// Any body is an order or an ApiFault of 4xx, for each API that reads one. The first byte chooses
// the API.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "serve/api/a1111_options.h"
#include "serve/api/a1111_request.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"
#include "serve/api/openai_request.h"

namespace {

using namespace inkstone;
using namespace inkstone::serve;

// Of a text "name=value&name=value", without any decoding.
void add_pairs(std::string_view text, std::vector<std::pair<std::string, std::string>>& query) {
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    query.emplace_back(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
  }
}

Order order_of(uint8_t api, http::Request request, const ModelCard& card, const Limits& limits) {
  if (api % 4 == 0) {
    add_pairs(request.body, request.query);
    request.body.clear();
  }
  if (api % 4 < 2) return generate_request(request, read_generate_fields(request), card, limits).order;
  if (api % 4 == 2) {
    const Fields fields = Fields::of_body(request, Manner::kNullsAbsent);
    fields.check_names(openai_fields());
    return openai_request(request, fields, card, limits).order;
  }
  A1111Options options;
  const Fields fields = Fields::of_body(request, Manner::kLenient);
  options.set("someone", fields.object(), card);
  return a1111_request(request, fields, options.of("someone", card), card, limits).order;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ModelCard card;
  card.name = "demo";
  card.hash = std::string(64, 'a');
  card.traits.scheduler = std::make_shared<const Json>(
      JsonObject{{"_class_name", "PNDMScheduler"}, {"skip_prk_steps", true}, {"steps_offset", 1}});
  Limits limits;
  limits.image.max_side = 2048;
  limits.image.max_pixels = 1 << 20;
  limits.image.max_steps = 200;
  limits.image.max_prompt_bytes = kMaxPromptBytes;
  limits.image.approximations = false;
  http::Request request;
  request.headers = {{"content-type", "application/json"}};
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const Order order = order_of(data[0], request, card, limits);
    const ResolvedRequest& image = *order.images.at(0);
    const bool good = order.images.size() <= size_t(limits.max_images) && image.steps >= 1 &&
                      image.steps <= limits.image.max_steps && image.width % card.traits.size_multiple == 0 &&
                      int64_t{image.width} * image.height <= limits.image.max_pixels && image.width > 0 &&
                      image.height > 0 && image.guidance_scale >= 0 && image.guidance_scale <= 100 && image.scheduler &&
                      order.quality >= 1 && order.quality <= 100;
    if (!good) std::abort();
  } catch (const ApiFault& fault) {
    if (fault.error().status < 400 || fault.error().status > 499 || fault.error().message.size() > 4000) std::abort();
  }
  return 0;
}
