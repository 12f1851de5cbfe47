// The fields that POST /sdapi/v1/img2img has beside those of txt2img, and what they are here.
#pragma once

#include <span>

#include "serve/api/fields.h"
#include "serve/api/request_reader.h"

namespace inkstone::serve {

std::span<const FieldInfo> a1111_picture_fields();  // their examples are their defaults
std::span<const FieldName> a1111_picture_names();
double a1111_denoising_strength(const Fields& fields);  // as it was said, else the web UI's default
// Throws ApiFault 404 where there is no picture, 422 for what is not here. `image` says its steps.
void read_a1111_picture(const Fields& fields, ImageRequest& image);

}  // namespace inkstone::serve
