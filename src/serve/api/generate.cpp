// POST /generate answers when the images are done, with events while they are made, or at once with
// a job's URL.
#include "base/image_file.h"
#include "base/json.h"
#include "serve/api/answers.h"
#include "serve/api/api.h"
#include "serve/api/event_stream.h"
#include "serve/api/fault.h"
#include "serve/api/generate_request.h"
#include "serve/api/jobs.h"
#include "serve/api/order_listener.h"

namespace inkstone::serve {
namespace {

std::string images_text(const OrderState& order) {
  JsonArray images;
  for (const ImageState& image : order.images)
    images.emplace_back(data_url(media_type(order.order.format), *image.file));
  JsonObject json{{"image", images.front()},
                  {"seed", order.order.images.front()->seed},
                  {"seeds", seeds_json(order)},
                  {"parameters", parameters_json(order)},
                  {"timings", timings_json(times_of(order))},
                  {"warnings", warnings_json(order)},
                  {"id", order.id}};
  if (images.size() > 1) json["images"] = std::move(images);
  return json_text(json);
}

http::Reply images_reply(ApiContext& context, const OrderState& order) {
  if (const auto error = error_of(order)) throw ApiFault(*error);
  return shared_json_reply(context.answers.of("generate " + order.id, [&] { return images_text(order); }));
}

http::Reply job_url_reply(const OrderState& order, std::string_view prefix) {
  http::Reply reply = job_reply(202, order, prefix);
  reply.headers.emplace_back("location", job_path(prefix, order));
  reply.headers.emplace_back("preference-applied", "respond-async");
  return reply;
}

void generate(ApiContext& context, const http::ExchangePtr& exchange) {
  const http::Request& request = exchange->request();
  const Fields fields = read_generate_fields(request);
  GenerateRequest asked = generate_request(request, fields, context);
  bool repeated = false;
  const OrderState& order = submit(context.service, std::move(asked.order), &repeated);
  const auto answered = [repeated](http::Reply reply) {
    if (repeated) reply.headers.emplace_back("idempotent-replayed", "true");
    return reply;
  };
  switch (asked.answer) {
    case AnswerAs::kEvents: return stream_order(context.service, exchange, order, ImagesAs::kDataUrls);
    case AnswerAs::kJobUrl: return exchange->reply(answered(job_url_reply(order, request.prefix)));
    case AnswerAs::kJson:
      return answer_when_ended(
          context.service, exchange, order, http::ErrorShape::kOwn,
          [&context, answered](const OrderState& ended) { return answered(images_reply(context, ended)); });
    case AnswerAs::kImage:
      return answer_when_ended(context.service, exchange, order, http::ErrorShape::kOwn,
                               [answered](const OrderState& ended) {
                                 if (const auto error = error_of(ended)) throw ApiFault(*error);
                                 return answered(image_reply(ended, 0));
                               });
  }
}

}  // namespace

void add_generate_routes(http::Router& router, ApiContext& context) {
  http::Route route{"POST", "/generate", handled(http::ErrorShape::kOwn, [&context](const http::ExchangePtr& exchange) {
                      generate(context, exchange);
                    })};
  route.pictures = true;
  router.add(std::move(route));
  add_job_routes(router, context);
  add_queue_routes(router, context);
}

}  // namespace inkstone::serve
