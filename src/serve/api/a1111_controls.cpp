#include "serve/api/a1111_controls.h"

#include <algorithm>

#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "serve/api/fault.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

constexpr const char* kScripts = "alwayson_scripts";

[[noreturn]] void refuse_unit(const std::string& what) {
  refuse(422, "not_supported", "ControlNet: " + what, kScripts);
}

// Of the unit, or of the object that it may stand in.
const Json* image_in(const Fields& unit) {
  for (const char* name : {"image", "input_image"}) {
    const Json* value = unit.find(name);
    if (value && value->is_object()) value = value->as_object().if_contains("image");
    if (value && !value->is_null() && *value != "") return value;
  }
  return nullptr;
}

// "NAME [HASH]"
std::string model_in(const Fields& unit) {
  std::string name = unit.text("model", kMaxWordBytes).value_or("");
  if (const size_t hash = name.rfind(" ["); hash != name.npos && name.ends_with(']')) name.resize(hash);
  return name;
}

void check_unit(const Fields& unit) {
  const std::string module = lower(unit.text("module", kMaxWordBytes).value_or("none"));
  if (!module.empty() && module != "none")
    refuse_unit("module " + shown(module) + " is not here: no preprocessor is; send its result, and module none");
  const Json* mode = unit.find("control_mode");
  if (mode && *mode != 0 && *mode != "Balanced")
    refuse_unit("control_mode " + shown(json_text(*mode)) + " is not here; there is Balanced");
  for (const char* name : {"mask", "mask_image", "effective_region_mask"})
    if (const Json* value = unit.find(name); value && *value != "")
      refuse_unit(std::string(name) + " is not supported here");
}

// Without an image of its own it takes img2img's.
ControlUse unit_of(const Fields& unit, const ImageRequest& request) {
  check_unit(unit);
  ControlUse use;
  use.model = model_in(unit);
  if (use.model.empty() || use.model == "None") refuse_unit("a unit names no model");
  const Json* hint = image_in(unit);
  if (!hint && !request.image) refuse_unit("a unit has no image");
  use.image = hint ? unit.file_in(kScripts, *hint) : *request.image;
  use.scale = static_cast<float>(unit.number("weight", 0, kMaxControlScale).value_or(use.scale));
  use.start = static_cast<float>(unit.number("guidance_start", 0, 1).value_or(use.start));
  use.end = static_cast<float>(unit.number("guidance_end", 0, 1).value_or(use.end));
  return use;
}

// A script that is off says so by no arguments, or by false.
bool is_off(const Json& argument) {
  if (argument == false || argument.is_null()) return true;
  const JsonObject* unit = argument.if_object();
  const Json* enabled = unit ? unit->if_contains("enabled") : nullptr;
  return enabled && *enabled == false;
}

}  // namespace

void read_a1111_scripts(const Fields& fields, ImageRequest& image) {
  const Json* scripts = fields.find(kScripts);
  if (!scripts || *scripts == "") return;
  if (!scripts->is_object()) fields.wrong(kScripts, "an object");
  for (const auto& [name, script] : scripts->as_object()) {
    const Json* said = script.is_object() ? script.as_object().if_contains("args") : nullptr;
    const JsonArray arguments = said && said->is_array() ? said->as_array() : JsonArray{};
    for (const Json& argument : arguments) {
      if (is_off(argument)) continue;
      if (lower(std::string_view(name)) != "controlnet")
        refuse(422, "not_supported",
               "alwayson_scripts: " + shown(std::string_view(name)) + " is not here, leave it out", kScripts);
      if (!argument.is_object()) fields.wrong(kScripts, "units of ControlNet, as objects");
      if (!image.control) image.control.emplace();
      image.control->push_back(unit_of(fields.below(argument.as_object(), Manner::kLenient), image));
    }
  }
}

}  // namespace inkstone::serve
