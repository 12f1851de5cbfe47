// What POST /sdapi/v1/txt2img and img2img are asked. Fields that nobody knows are nothing, as there; what asks
// for something that is not here is refused with all its names.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "serve/api/fields.h"
#include "serve/api/limits.h"
#include "serve/http/http.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

enum class A1111Task { kText, kPicture };                 // txt2img, img2img
std::span<const FieldInfo> a1111_fields(A1111Task task);  // their examples are their defaults

struct A1111Request {
  Order order;
  bool send_images = true;
  int batch_size = 1, n_iter = 1;
  std::string sampler, schedule_type;       // by their names there
  std::optional<float> denoising_strength;  // as it was said
  std::vector<std::string> warnings;
  JsonObject echo;
};
A1111Request a1111_request(const http::Request& request, const Fields& fields, const JsonObject& options,
                           const ApiContext& context, A1111Task task);

}  // namespace inkstone::serve
