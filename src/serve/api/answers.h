// An order's state for clients: errors, images, times, and the JSON of a job.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "serve/http/http.h"
#include "serve/jobs/image_service.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

http::Error error_of(const Rejection& rejection);
http::Error error_of(const Failure& failure);
// Why an ended order has not all of its images; nothing where it has.
std::optional<http::Error> error_of(const OrderState& order);

// Lets it in or throws ApiFault.
const OrderState& submit(ImageService& service, Order order, bool* repeated = nullptr);
// The client's order; throws ApiFault 404.
const OrderState& order_of(ImageService& service, const http::Request& request);

std::string data_url(std::string_view media_type, std::string_view bytes);
std::string preview_png(const ImageState& image);  // of its own size

JsonObject timings_json(const ImageTimes& times);
// Sums; the longest wait and the longest total.
ImageTimes times_of(const OrderState& order);
// As used, by the names of POST /generate.
JsonObject parameters_json(const OrderState& order);
JsonArray warnings_json(const OrderState& order);  // each once
JsonArray seeds_json(const OrderState& order);

std::string_view status_of(const OrderState& order);  // "queued", "running", "done", "failed", "cancelled"
// Steps that were asked for; PNDM makes them in more evaluations of the U-Net.
struct StepCount {
  int step = 0, steps = 0;  // complete, in all
};
StepCount steps_of(const OrderState& order, size_t image);
StepCount preview_steps_of(const OrderState& order, size_t image);  // as its preview shows it
double progress_of(const ImageState& image);                        // 0 to 1
double progress_of(const OrderState& order);
double seconds_left(const OrderState& order);
// Paths as a client sees them: `prefix` is its request's.
std::string job_path(std::string_view prefix, const OrderState& order);
std::string image_path(std::string_view prefix, const OrderState& order, size_t image);
JsonObject job_json(const OrderState& order, std::string_view prefix);
// The same as a row of a list: without prompts and other values of the request.
JsonObject job_row_json(const OrderState& order, std::string_view prefix);

http::Reply json_reply(int status, const Json& json);
http::Reply shared_json_reply(std::shared_ptr<const std::string> json);  // 200
http::Reply job_reply(int status, const OrderState& order, std::string_view prefix);
http::Reply image_reply(const OrderState& order, size_t image);  // its bytes

}  // namespace inkstone::serve
