// Reads a request's fields under an API's own names, and tells faults under them. An API is a table
// of renamings over the table of fields (diffusion/request_fields.h).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/picture.h"
#include "serve/api/fields.h"
#include "serve/api/limits.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

struct FieldName {
  std::string_view theirs;  // "cfg_scale"
  std::string_view ours;    // "guidance_scale": in the table of fields
  // False: the API reads it itself, and gives its name for faults alone.
  bool read = true;
};

// The fields under our own names, without those in `left_out`.
std::vector<FieldName> own_names(std::span<const std::string_view> left_out = {});
// An API's table: their rows, then those that are the API's own.
std::vector<FieldInfo> api_table(std::span<const FieldName> names, std::span<const FieldInfo> own);

// By its header alone; what else it holds is seen by a worker. Throws ApiFault 400 for what is no picture, or too large.
PictureSize size_of_picture(const GivenFile& picture);
// A seed is drawn where none is said.
ImageRequest read_request(const Fields& fields, std::span<const FieldName> names);
// "loras", which APIs with our own fields take.
FieldInfo adapters_field();
// What the field says, and then the prompt's tags, which are taken out of it. Where there is no folder of adapters, tags
// stay. Throws ApiFault for an adapter that is not there.
void take_adapters(const ImageService& service, const Fields& fields, ImageRequest& request, Order& order);
void read_format(const Fields& fields, Order& order);  // "output_format"
// Resolves it, for `count` images whose seeds follow one another, and which share its pictures. Throws ApiFault 400.
std::vector<RequestPtr> resolve_images(const Fields& fields, std::span<const FieldName> names,
                                       const ImageRequest& request, const ModelCard& card, const Limits& limits,
                                       int count);

}  // namespace inkstone::serve
