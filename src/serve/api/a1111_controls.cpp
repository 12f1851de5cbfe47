#include "serve/api/a1111_controls.h"

#include <algorithm>

#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

constexpr const char* kScripts = "alwayson_scripts";

[[noreturn]] void refuse_unit(const std::string& what) {
  refuse(422, "not_supported", "ControlNet: " + what, kScripts);
}

std::string_view text_in(const JsonObject& unit, const char* name) {
  const Json* value = unit.if_contains(name);
  return value && value->is_string() ? std::string_view(value->as_string()) : std::string_view();
}

double number_in(const JsonObject& unit, const char* name, double usual) {
  const Json* value = unit.if_contains(name);
  if (!value || value->is_null()) return usual;
  if (!value->is_number()) refuse_unit(std::string(name) + " must be a number");
  return value->to_number<double>();
}

// Of the unit, or of the object that it may stand in.
const Json* image_in(const JsonObject& unit) {
  for (const char* name : {"image", "input_image"}) {
    const Json* value = unit.if_contains(name);
    if (value && value->is_object()) value = value->as_object().if_contains("image");
    if (value && !value->is_null() && *value != "") return value;
  }
  return nullptr;
}

// "NAME [HASH]"
std::string model_in(const JsonObject& unit) {
  std::string_view name = text_in(unit, "model");
  if (const size_t hash = name.rfind(" ["); hash != name.npos && name.ends_with(']')) name = name.substr(0, hash);
  return clean_utf8(name);
}

void check_unit(const JsonObject& unit) {
  const std::string module = lower(text_in(unit, "module"));
  if (!module.empty() && module != "none")
    refuse_unit("module " + shown(module) + " is not here: no preprocessor is; send its result, and module none");
  const Json* mode = unit.if_contains("control_mode");
  if (mode && !mode->is_null() && *mode != 0 && *mode != "Balanced")
    refuse_unit("control_mode " + shown(json_text(*mode)) + " is not here; there is Balanced");
  for (const char* name : {"mask", "mask_image", "effective_region_mask"})
    if (const Json* value = unit.if_contains(name); value && !value->is_null() && *value != "")
      refuse_unit(std::string(name) + " is not supported here");
}

template <typename Request>
void add_unit(const Fields& fields, const JsonObject& unit, Request& image) {
  if constexpr (requires { image.control; }) {
    using Uses = typename std::decay_t<decltype(image.control)>::value_type;
    check_unit(unit);
    typename Uses::value_type use;
    use.model = model_in(unit);
    if (use.model.empty() || use.model == "None") refuse_unit("a unit names no model");
    const Json* hint = image_in(unit);
    if (!hint && !image.image) refuse_unit("a unit has no image");
    use.image = hint ? fields.file_in(kScripts, *hint) : *image.image;
    use.scale = static_cast<float>(number_in(unit, "weight", 1));
    use.start = static_cast<float>(number_in(unit, "guidance_start", 0));
    use.end = static_cast<float>(number_in(unit, "guidance_end", 1));
    if (!image.control) image.control.emplace();
    image.control->push_back(std::move(use));
  } else {
    refuse_unit("it is not supported here: leave its units out");
  }
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
      add_unit(fields, argument.as_object(), image);
    }
  }
}

}  // namespace inkstone::serve
