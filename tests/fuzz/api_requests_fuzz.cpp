// Any body is an order or an ApiFault of 4xx, for each API that reads one. The first byte chooses
// the API.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "serve/api/a1111_options.h"
#include "serve/api/a1111_request.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"
#include "serve/api/limits.h"
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

// Two models and an adapter; it takes no orders.
class TwoModels : public ImageService {
 public:
  TwoModels() {
    ModelCard card;
    card.name = card.file = "demo";
    card.traits.encodes = true;
    card.hash = std::string(64, 'a');
    card.traits.scheduler = std::make_shared<const Json>(
        JsonObject{{"_class_name", "PNDMScheduler"}, {"skip_prk_steps", true}, {"steps_offset", 1}});
    card.limits.approximations = false;
    models_.push_back({"demo", {}, card, {}, {}});
    card.name = "other";
    card.file = "other.safetensors";
    card.hash.clear();
    models_.push_back({"other", {"/other.safetensors", "1"}, card, {}, {}});
  }
  SubmitResult submit(Order) override { return {}; }
  const OrderState* find(std::string_view, std::string_view) override { return nullptr; }
  std::vector<const OrderState*> orders_of(std::string_view) override { return {}; }
  void watch(const OrderState&, OrderWatcher&) override {}
  void unwatch(const OrderState&, OrderWatcher&) override {}
  bool cancel(const OrderState&) override { return false; }
  bool cut_short(const OrderState&) override { return false; }
  const std::vector<ServedModel>& models() const override { return models_; }
  const std::vector<AdapterName>* adapters() const override { return &adapters_; }
  void rescan(std::function<void()>) override {}
  ServiceFigures figures() const override { return {}; }
  double now() const override { return 0; }

 private:
  std::vector<ServedModel> models_;
  std::vector<AdapterName> adapters_{{"style", "/style.safetensors", "1"}};
};

Order order_of(uint8_t api, http::Request request, const ApiContext& context) {
  if (api % 4 == 0) {
    add_pairs(request.body, request.query);
    request.body.clear();
  }
  if (api % 4 < 2) return generate_request(request, read_generate_fields(request), context).order;
  if (api % 4 == 2) {
    const Fields fields = Fields::of_body(request, Manner::kNullsAbsent);
    const OpenAiTask task = api % 8 == 2 ? OpenAiTask::kGenerate : OpenAiTask::kEdit;
    fields.check_names(openai_fields());
    return openai_request(request, fields, context, task).order;
  }
  A1111Options options;
  const Fields fields = Fields::of_body(request, Manner::kLenient);
  options.set("someone", fields.object(), context);
  const A1111Task task = api % 8 == 3 ? A1111Task::kText : A1111Task::kPicture;
  return a1111_request(request, fields, options.of("someone", context), context, task).order;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  TwoModels service;
  ServeSettings settings;
  settings.max_side = 2048;
  settings.max_pixels = 1 << 20;
  const ApiContext context{service, settings, {}};
  const Limits limits = limits_of(context, ready_model(service));
  http::Request request;
  request.headers = {{"content-type", "application/json"}};
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const Order order = order_of(data[0], request, context);
    const ResolvedRequest& image = *order.images.at(0);
    const bool good = order.images.size() <= size_t(limits.max_images) && image.steps >= 1 &&
                      image.steps <= limits.image.max_steps && image.width % 8 == 0 && order.adapters.size() <= 32 &&
                      int64_t{image.width} * image.height <= limits.image.max_pixels && image.width > 0 &&
                      image.height > 0 && image.guidance_scale >= 0 && image.guidance_scale <= 100 && image.scheduler &&
                      order.quality >= 1 && order.quality <= 100;
    if (!good) std::abort();
  } catch (const ApiFault& fault) {
    if (fault.error().status < 400 || fault.error().status > 499 || fault.error().message.size() > 4000) std::abort();
  }
  return 0;
}
