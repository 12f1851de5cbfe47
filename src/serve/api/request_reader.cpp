#include "serve/api/request_reader.h"

#include <algorithm>

#include "adapters/tags.h"
#include "base/image_file.h"
#include "base/json.h"
#include "base/picture.h"
#include "base/picture_error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "diffusion/request_fields.h"
#include "serve/api/fault.h"
#include "serve/wire/spooled.h"

namespace inkstone::serve {
namespace {

const RequestField& field_of(const FieldName& name) {
  const RequestField* field = find_request_field(name.ours);
  INKSTONE_CHECK(field, "an API's table names no field of a request: ", name.ours);
  return *field;
}

std::string_view type_of(const RequestField& field) {
  struct Types {
    std::string_view operator()(std::optional<std::string> ImageRequest::*) const { return "string"; }
    std::string_view operator()(std::optional<uint64_t> ImageRequest::*) const { return "integer"; }
    std::string_view operator()(std::optional<int> ImageRequest::*) const { return "integer"; }
    std::string_view operator()(std::optional<float> ImageRequest::*) const { return "number"; }
    std::string_view operator()(std::optional<Interval> ImageRequest::*) const { return "array"; }
    std::string_view operator()(std::optional<bool> ImageRequest::*) const { return "boolean"; }
    std::string_view operator()(std::optional<std::vector<ControlUse>> ImageRequest::*) const { return "array"; }
    std::string_view operator()(std::optional<GivenFile> ImageRequest::*) const { return "string"; }
  };
  return std::visit(Types{}, field.member);
}

// The keys of one control.
const FieldInfo kControlKeys[] = {{"model", "string", "", ""},
                                  {"image", "string", "", ""},
                                  {"scale", "number", "", ""},
                                  {"start", "number", "", ""},
                                  {"end", "number", "", ""}};

ControlUse control_use(const Fields& fields) {
  fields.check_names(kControlKeys);
  ControlUse use;
  if (auto model = fields.text("model", SIZE_MAX)) use.model = std::move(*model);
  if (use.model.empty()) refuse(400, "missing_parameter", "a control must have \"model\", the name of one", "model");
  auto image = fields.file("image");
  if (!image) refuse(400, "missing_parameter", "a control must have \"image\", its hint in base64", "image");
  use.image = std::move(*image);
  use.scale = static_cast<float>(fields.number("scale", 0, kMaxControlScale).value_or(use.scale));
  use.start = static_cast<float>(fields.number("start", 0, 1).value_or(use.start));
  use.end = static_cast<float>(fields.number("end", 0, 1).value_or(use.end));
  return use;
}

// Leaves what is not there as it is. Ranges are resolve()'s, but for what does not fit the type.
struct ReadField {
  const Fields& fields;
  std::string_view name;
  const RequestField& field;

  void operator()(std::optional<std::string>& to) const {
    if (auto text = fields.text(name, SIZE_MAX)) to = std::move(*text);
  }
  void operator()(std::optional<uint64_t>& to) const {
    if (const auto seed = fields.seed(name)) to = *seed;
  }
  void operator()(std::optional<int>& to) const {
    if (const auto number = fields.integer(name, INT32_MIN, INT32_MAX, allowed(field))) to = static_cast<int>(*number);
  }
  void operator()(std::optional<float>& to) const {
    if (const auto number = fields.number(name, field.min, field.max)) to = static_cast<float>(*number);
  }
  void operator()(std::optional<Interval>& to) const {
    if (const auto ends = fields.interval(name)) to = Interval{float(ends->first), float(ends->second)};
  }
  void operator()(std::optional<std::vector<ControlUse>>& to) const {
    const Json* list = fields.find(name);
    if (!list) return;
    if (!list->is_array()) fields.wrong(name, "a list of objects with model, image, scale, start and end");
    to.emplace();
    for (const Json& item : list->as_array()) {
      if (!item.is_object()) fields.wrong(name, "a list of objects with model, image, scale, start and end");
      to->push_back(control_use(fields.below(item.as_object(), Manner::kStrict)));
    }
  }
  void operator()(std::optional<bool>& to) const {
    if (const auto flag = fields.flag(name)) to = *flag;
  }
  void operator()(std::optional<GivenFile>& to) const {
    if (auto file = fields.file(name)) to = std::move(*file);
  }
};

// An API's name for the field, one that was said where there are several.
std::string_view their_name(const Fields& fields, std::span<const FieldName> names, const RequestField& field) {
  std::string_view found = field.name;
  for (const FieldName& name : names) {
    if (name.ours != field.name) continue;
    found = name.theirs;
    if (fields.has(found)) break;
  }
  return found;
}

[[noreturn]] void refuse_request(const RequestError& error, const Fields& fields, std::span<const FieldName> names) {
  const std::string_view name = their_name(fields, names, error.field());
  if (error.rule().empty()) refuse(400, "invalid_value", error.what(), std::string(name));
  if (fields.has(name)) fields.wrong(name, error.rule());
  refuse(400, "invalid_value",
         "\"" + std::string(name) + "\" is " + shown(error.value()) + " by default; it must be " + error.rule(),
         std::string(name));
}

}  // namespace

PictureSize size_of_picture(const GivenFile& picture) {
  try {
    return picture_size(picture.bytes, picture.source);
  } catch (const PictureError& error) {
    refuse(400, "invalid_image", error.what(), picture.source);
  }
}

std::vector<FieldName> own_names(std::span<const std::string_view> left_out) {
  std::vector<FieldName> names;
  for (const RequestField& field : request_fields())
    if (field.group != kEnlarging && std::ranges::find(left_out, field.name) == left_out.end())
      names.push_back({field.name, field.name});
  return names;
}

std::vector<FieldInfo> api_table(std::span<const FieldName> names, std::span<const FieldInfo> own) {
  std::vector<FieldInfo> rows;
  for (const FieldName& name : names) {
    if (!name.read) continue;
    const RequestField& field = field_of(name);
    std::string about = std::string(field.about) + field.over_http;
    std::ranges::replace(about, '\n', ' ');
    rows.push_back({name.theirs, type_of(field), std::move(about), field.example});
  }
  rows.insert(rows.end(), own.begin(), own.end());
  return rows;
}

ImageRequest read_request(const Fields& fields, std::span<const FieldName> names) {
  ImageRequest request;
  for (const FieldName& name : names) {
    if (!name.read || !fields.has(name.theirs)) continue;
    const RequestField& field = field_of(name);
    if (is_set(field, request))
      refuse(400, "invalid_value",
             "\"" + std::string(name.theirs) + "\" is another name for what was said already; say it once",
             std::string(name.theirs));
    std::visit([&](auto member) { ReadField{fields, name.theirs, field}(request.*member); }, field.member);
  }
  if (!request.seed) request.seed = random_seed();
  return request;
}

FieldInfo adapters_field() {
  return {"loras", "array",
          "adapters by their names, as \"style\", \"style:0.8\" or \"style:TEXT:UNET\"; those of <lora:...> in the "
          "prompt come after them",
          "[]"};
}

void take_adapters(const ImageService& service, const Fields& fields, ImageRequest& request, Order& order) {
  constexpr size_t kMost = 32;
  const std::vector<AdapterName>* adapters = service.adapters();
  const auto checked = [&](const char* field, const auto& read) {
    try {
      read();
      for (const AdapterTag& tag : order.adapters) find_adapter(*adapters, tag.name, "the server's folder of adapters");
    } catch (const UsageError& error) {
      refuse(400, "invalid_value", error.what(), field);
    }
  };
  std::vector<std::string> said;
  if (const Json* value = fields.find("loras")) {
    if (value->is_string()) said.emplace_back(value->as_string());
    const JsonArray list = value->is_array() ? value->as_array() : JsonArray{};
    if (std::ranges::any_of(list, [](const Json& one) { return !one.is_string(); }) ||
        !(value->is_string() || value->is_array()))
      fields.wrong("loras", "a list of texts, as [\"style:0.8\"]");
    for (const Json& one : list) said.emplace_back(one.as_string());
  }
  if (!said.empty() && !adapters)
    refuse(400, "invalid_value", "there are no adapters here: the operator names their folder with --lora-dir",
           "loras");
  if (!adapters) return;
  checked("loras", [&] {
    for (const std::string& text : said) {
      const AdapterUse use = parse_adapter(text);
      order.adapters.push_back({use.path, use.text, use.unet});
    }
  });
  checked("prompt", [&] {
    TaggedPrompt prompt = take_tags(request.prompt.value_or(""));
    order.adapters.insert(order.adapters.end(), prompt.tags.begin(), prompt.tags.end());
    if (!prompt.tags.empty()) request.prompt = std::move(prompt.text);
  });
  if (order.adapters.size() > kMost)
    refuse(400, "invalid_value",
           std::to_string(order.adapters.size()) + " adapters; at most " + std::to_string(kMost) + " are taken",
           "loras");
}

void read_format(const Fields& fields, Order& order) {
  static constexpr std::string_view kNames[] = {"png", "jpeg", "webp"};
  const auto name = fields.choice("output_format", kNames);
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp})
    if (name == format_name(format)) order.format = format;
}

std::vector<RequestPtr> resolve_images(const Fields& fields, std::span<const FieldName> names,
                                       const ImageRequest& request, const ModelCard& card, const Limits& limits,
                                       int count) {
  ImageRequest owned = request;
  for (const GivenFile* file : files_of(owned)) size_of_picture(*file);
  spool(owned);
  ResolvedRequest first;
  try {
    first = resolve(owned, card.traits, limits.image);
  } catch (const RequestError& error) {
    refuse_request(error, fields, names);
  }
  const uint64_t more = static_cast<uint64_t>(count) - 1;
  const std::string name(their_name(fields, names, request_field(&ImageRequest::seed)));
  if (first.seed > UINT64_MAX - more)
    refuse(400, "invalid_value",
           name + " " + std::to_string(first.seed) + " with " + std::to_string(count) +
               " images: the last seed would be more than " + std::to_string(UINT64_MAX),
           name);
  std::vector<RequestPtr> images;
  for (uint64_t i = 0; i <= more; ++i) {
    auto image = std::make_shared<ResolvedRequest>(first);
    image->seed += i;
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace inkstone::serve
