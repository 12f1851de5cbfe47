// POST /sdapi/v1/extra-single-image and extra-batch-images: pictures that are made larger and not drawn on. Each is an image
// of an order like any other, without U-Net evaluations (diffusion/enlargement.h).
#pragma once

#include <memory>
#include <span>

#include "serve/api/a1111.h"
#include "serve/api/fields.h"

namespace inkstone::serve {

enum class A1111Extras { kSingle, kBatch };
std::span<const FieldInfo> a1111_extras_fields(A1111Extras extras);  // their examples are their defaults
void add_a1111_extras(http::Router& router, const std::shared_ptr<A1111State>& state);

}  // namespace inkstone::serve
