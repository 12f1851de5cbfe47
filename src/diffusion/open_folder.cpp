// A model in diffusers' layout: a folder with model_index.json and a folder for each component.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = size_t{1} << 20;

// The folder of a component that must be there.
fs::path part(const fs::path& model, const char* name) {
  const fs::path folder = model / name;
  INKSTONE_CHECK(fs::is_directory(folder), model.string(), ": the component \"", name, "\" is missing (no folder ",
                 folder.string(), ")");
  return folder;
}

Json config_of(const fs::path& folder) { return read_json(folder / "config.json", kMaxConfigBytes); }

// The classes of the same five components, with which diffusers' AutoPipelineForText2Image draws
// as with the first or the second. An inpainting model of nine channels is refused by check_fit().
constexpr std::array kPipelines{"StableDiffusionPipeline",        "LatentConsistencyModelPipeline",
                                "StableDiffusionImg2ImgPipeline", "LatentConsistencyModelImg2ImgPipeline",
                                "StableDiffusionInpaintPipeline", "StableDiffusionInpaintPipelineLegacy"};

// model_index.json: the class of the pipeline and of each component.
JsonObject index_of(Json index, const std::string& source) {
  INKSTONE_CHECK(index.is_object(), source, ": the document is not an object");
  const Json* kind = index.get_object().if_contains("_class_name");
  const std::string name = kind && kind->is_string() ? std::string(kind->get_string()) : "";
  INKSTONE_CHECK(std::ranges::find(kPipelines, name) != kPipelines.end(), source, ": a ",
                 name.empty() ? "pipeline without _class_name" : shown(name),
                 "; this program runs StableDiffusionPipeline and LatentConsistencyModelPipeline");
  return std::move(index.get_object());
}

// Of "scheduler": ["diffusers", "DDIMScheduler"]; "" where the index does not say.
std::string scheduler_class(const JsonObject& index) {
  const Json* entry = index.if_contains("scheduler");
  const JsonArray* names = entry ? entry->if_array() : nullptr;
  return names && names->size() == 2 && (*names)[1].is_string() ? std::string((*names)[1].get_string()) : "";
}

// scheduler_config.json. As in diffusers, the class in model_index.json counts.
void read_scheduler(ModelTraits& traits, const fs::path& model, const JsonObject& index) {
  const std::string source = (part(model, "scheduler") / "scheduler_config.json").string();
  Json config = read_json(source, kMaxConfigBytes);
  traits.scheduler_file = source;
  const std::string name = scheduler_class(index);
  if (!name.empty() && config.is_object() && config.get_object()["_class_name"] != Json(name)) {
    config.get_object()["_class_name"] = name;
    traits.scheduler_file += " with the class of model_index.json";
  }
  traits.scheduler = std::make_shared<const Json>(std::move(config));
}

// A field of generation_config.json, in its range; unset where the file does not say it.
ImageRequest generation_defaults(const fs::path& path) {
  ImageRequest out;
  if (!is_listed(path)) return out;
  const Json json = read_json(path, kMaxConfigBytes);
  INKSTONE_CHECK(json.is_object(), path.string(), ": the document is not an object");
  const auto number = [&](auto member) {
    const RequestField& field = request_field(member);
    const Json* value = json.get_object().if_contains(field.name);
    if (!value) return;
    const bool whole = value->is_int64() || std::is_same_v<decltype(member), std::optional<float> ImageRequest::*>;
    try {
      if (!value->is_number() || !whole) throw RequestError::rule(field, json_text(*value), allowed(field));
      const double real = std::clamp(value->to_number<double>(), -1e9, 1e9);
      out.*member = static_cast<typename std::decay_t<decltype(out.*member)>::value_type>(real);
      check_field(field, out);
    } catch (const RequestError& error) {
      fail(INKSTONE_HERE, {path.string(), ": \"", field.name, "\" must be ", error.rule()});
    }
  };
  number(&ImageRequest::steps);
  number(&ImageRequest::guidance_scale);
  return out;
}

ModelTraits traits_of(const Pipeline& m, const JsonObject& index) {
  ModelTraits traits;
  const ImageRequest defaults = generation_defaults(m.path / "generation_config.json");
  traits.steps = defaults.steps.value_or(traits.steps);
  traits.guidance_scale = defaults.guidance_scale.value_or(traits.guidance_scale);
  read_scheduler(traits, m.path, index);
  return traits;
}

}  // namespace

void Pipeline::check_index(const Json& index, const std::string& source) { index_of(index, source); }

Pipeline Pipeline::describe(const fs::path& folder, Json document, const std::string& source) {
  Pipeline m;
  m.path = folder;
  const JsonObject index = index_of(std::move(document), source);
  const fs::path text = part(folder, "text_encoder"), unet = part(folder, "unet"), vae = part(folder, "vae");
  m.clip_config = inkstone::clip_config(config_of(text), (text / "config.json").string());
  m.unet_config = inkstone::unet_config(config_of(unet), (unet / "config.json").string());
  m.vae_config = inkstone::vae_config(config_of(vae), (vae / "config.json").string());
  m.traits = traits_of(m, index);
  set_sizes(m);
  m.tokenizer = std::make_unique<Tokenizer>(Tokenizer::open(part(folder, "tokenizer")));
  check_fit(m, [&](const char* component, const char* file) { return (folder / component / file).string(); });
  return m;
}

Pipeline open_folder(const fs::path& folder) {
  const fs::path index = folder / "model_index.json";
  Pipeline m = Pipeline::describe(folder, read_json(index, kMaxConfigBytes), index.string());
  add_components(m, [&](const std::string& name, std::span<const WeightSpec> specs) {
    Weights weights = Weights::open(folder / name);
    weights.bind(specs);
    return weights;
  });
  return m;
}

}  // namespace inkstone
