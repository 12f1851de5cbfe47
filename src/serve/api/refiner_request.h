// SDXL's refiner in a request: which model of the server's finishes the images, and from where on.
#pragma once

#include <string_view>
#include <vector>

#include "serve/api/fields.h"
#include "serve/api/limits.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

// Adds "refiner" and "refiner_start", which APIs with our own fields take.
std::vector<FieldInfo> with_refiner(std::vector<FieldInfo> table);

struct RefinerNames {  // an API's, of the two
  std::string_view model = "refiner", start = "refiner_start";
  bool start_alone = false;  // it may be said where there is no refiner, and means nothing then
};
// What they say of the order's images, which are resolved; where they say nothing, the operator's --refiner for the
// default model. "None", and a start of 1, mean none. Throws ApiFault where the two models are no pair.
void take_refiner(const ApiContext& context, const Fields& fields, const ImageRequest& asked, const ModelCard& base,
                  Order& order, const RefinerNames& names = {});

}  // namespace inkstone::serve
