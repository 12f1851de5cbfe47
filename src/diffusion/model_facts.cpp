#include "diffusion/model_facts.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/resolved_request.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::string family_of(const Pipeline& m) {
  const UnetConfig& unet = m.unet_config;
  std::string family = unet.added ? "SDXL" : unet.linear_projection ? "Stable Diffusion 2.x" : "Stable Diffusion 1.x";
  if (unet.added && unet.channels == std::vector<int>{320, 640, 1280} && unet.mid_depth < 10)
    family += ", its U-Net with fewer layers";
  if (unet.guidance_channels) family += ", distilled with guidance";
  return family;
}

// What the names of a component's tensors begin with in the file.
std::string place_of(const Weights& weights) {
  std::string common;
  bool first = true;
  for (const WeightSpec& spec : weights.specs()) {
    const std::string& name = weights.stored(spec.name).view->name;
    if (first) common = name;
    first = false;
    const auto end = std::ranges::mismatch(common, name).in1;
    common.erase(end, common.end());
  }
  const size_t dot = common.rfind('.');
  return dot == std::string::npos ? "" : common.substr(0, dot + 1);
}

std::string known_by(const Pipeline& m) {
  if (fs::is_directory(m.path)) {
    const Json index = read_json(m.path / "model_index.json", kMaxConfigBytes);
    const Json* kind = index.is_object() ? index.get_object().if_contains("_class_name") : nullptr;
    return "model_index.json (" + (kind ? json_text(*kind) : "no class") + ") and the configurations beside it";
  }
  std::vector<std::string> places;
  for (const Component& component : m.components)
    if (!m.replaced.contains(component.name) && !std::ranges::count(m.controls, component.name, &Control::component))
      places.push_back(shown(place_of(component.weights)) + " (" + component.name + ")");
  return "tensors below " + listed(places) + ", and their shapes";
}

// Of a file with all components those that none has; of folders those that each has too many.
std::vector<std::string> unread_of(const Pipeline& m) {
  std::set<std::string> taken;
  std::vector<std::string> unread;
  for (const Component& component : m.components)
    for (const WeightSpec& spec : component.weights.specs())
      taken.insert(component.name + "/" + component.weights.stored(spec.name).view->name);
  for (const Component& component : m.components)
    for (const std::string& name : component.weights.names())
      if (!taken.contains(component.name + "/" + name)) unread.push_back(component.name + ": " + shown(name));
  if (fs::is_directory(m.path)) return unread;
  const Checkpoint file(m.path);
  std::set<std::string> names;
  for (const std::string& name : taken) names.insert(name.substr(name.find('/') + 1));
  for (const auto& [name, view] : file.tensors())
    if (!names.contains(name)) unread.push_back(shown(name));
  for (const auto& [name, type] : file.unread()) unread.push_back(shown(name) + " (" + shown(type) + ")");
  return unread;
}

}  // namespace

ModelFacts facts_of(const Pipeline& model) {
  return {family_of(model), known_by(model), name_of(scheduler_config(model.traits).prediction), unread_of(model)};
}

}  // namespace inkstone
