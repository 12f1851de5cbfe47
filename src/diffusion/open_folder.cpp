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

// The folder of a component that must be there.
fs::path part(const fs::path& model, const char* name) {
  const fs::path folder = model / name;
  INKSTONE_CHECK(fs::is_directory(folder), model.string(), ": the component \"", name, "\" is missing (no folder ",
                 folder.string(), ")");
  return folder;
}

Json config_of(const fs::path& folder) { return read_json(folder / "config.json", kMaxConfigBytes); }

// A class of pipeline in model_index.json. Those of one family have the same components, and diffusers'
// AutoPipelineForText2Image draws with each as with the first.
struct PipelineClass {
  const char* name;
  // Two text encoders; the text is what their last layers have not seen; the last encoder's pooled text
  // and the image's size are told beside it.
  bool xl;
};
constexpr PipelineClass kPipelines[] = {{"StableDiffusionPipeline", false},
                                        {"LatentConsistencyModelPipeline", false},
                                        {"StableDiffusionXLPipeline", true},
                                        {"StableDiffusionImg2ImgPipeline", false},
                                        {"LatentConsistencyModelImg2ImgPipeline", false},
                                        {"StableDiffusionInpaintPipeline", false},
                                        {"StableDiffusionInpaintPipelineLegacy", false},
                                        {"StableDiffusionXLImg2ImgPipeline", true},
                                        {"StableDiffusionXLInpaintPipeline", true}};

struct Index {  // model_index.json
  JsonObject object;
  bool xl;
};

Index index_of(Json index, const std::string& source) {
  INKSTONE_CHECK(index.is_object(), source, ": the document is not an object");
  const Json* kind = index.get_object().if_contains("_class_name");
  const std::string name = kind && kind->is_string() ? std::string(kind->get_string()) : "";
  const auto* found = std::ranges::find(kPipelines, name, &PipelineClass::name);
  INKSTONE_CHECK(found != std::end(kPipelines), source, ": a ",
                 name.empty() ? "pipeline without _class_name" : shown(name),
                 "; this program runs StableDiffusionPipeline, LatentConsistencyModelPipeline and "
                 "StableDiffusionXLPipeline");
  return {std::move(index.get_object()), found->xl};
}

// A component that is in the index as [null, null] is not there.
bool is_absent(const JsonObject& index, const char* component) {
  const Json* entry = index.if_contains(component);
  const JsonArray* names = entry ? entry->if_array() : nullptr;
  return names && !names->empty() && names->front().is_null();
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

ImageRequest generation_defaults(const fs::path& path) {
  if (!is_listed(path)) return {};
  return inkstone::generation_defaults(read_json(path, kMaxConfigBytes), path.string());
}

std::vector<TextEncoder> encoders_of(const fs::path& folder, const Index& index) {
  std::vector<TextEncoder> encoders;
  for (const char* number : {"", "_2"}) {
    const std::string name = std::string("text_encoder") + number;
    const bool unlisted =
        index.xl && !index.object.contains(name) && !fs::exists(folder / name);  // the refiner's first
    if (is_absent(index.object, name.c_str()) || unlisted || (*number && !index.xl)) continue;
    const fs::path text = part(folder, name.c_str());
    ClipConfig config = clip_config(config_of(text), (text / "config.json").string());
    if (index.xl) take_text_as_xl(config);
    if (!index.xl || !*number) config.projection = 0;
    Tokenizer tokenizer = Tokenizer::open(part(folder, (std::string("tokenizer") + number).c_str()));
    encoders.push_back({name, config, std::make_unique<Tokenizer>(std::move(tokenizer))});
  }
  INKSTONE_CHECK(!encoders.empty(), folder.string(), ": model_index.json says that there is no text encoder");
  return encoders;
}

// Said by SDXL's index, and true where it is silent (diffusers' own default).
bool has_zeros(const JsonObject& index) {
  const Json* said = index.if_contains("force_zeros_for_empty_prompt");
  return !said || !said->is_bool() || said->get_bool();
}

void set_traits(Opening& opening, const Index& index) {
  ModelTraits& traits = opening.pipeline.traits;
  if (index.xl) traits.guidance_scale = kGuidanceOfXl;
  const ImageRequest defaults = generation_defaults(opening.pipeline.path / "generation_config.json");
  opening.steps = defaults.steps;
  opening.guidance_scale = defaults.guidance_scale;
  read_scheduler(traits, opening.pipeline.path, index.object);
  opening.has_own_scheduler = true;
}

}  // namespace

ImageRequest generation_defaults(const Json& json, const std::string& source) {
  INKSTONE_CHECK(json.is_object(), source, ": the document is not an object");
  ImageRequest out;
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
      fail(INKSTONE_HERE, {source, ": \"", field.name, "\" must be ", error.rule()});
    }
  };
  number(&ImageRequest::steps);
  number(&ImageRequest::guidance_scale);
  return out;
}

void Pipeline::check_index(const Json& index, const std::string& source) { index_of(index, source); }

namespace {

Opening opening_of(const fs::path& folder, Json document, const std::string& source) {
  Opening opening;
  Pipeline& m = opening.pipeline;
  m.path = folder;
  opening.file_of = [folder](const std::string& component, const char* file) {
    return (folder / component / file).string();
  };
  opening.weights = [folder](const std::string& component, std::span<const WeightSpec> specs) {
    Weights weights = Weights::open(folder / component);
    weights.bind(specs);
    return weights;
  };
  const Index index = index_of(std::move(document), source);
  m.text_encoders = encoders_of(folder, index);
  const fs::path unet = part(folder, "unet"), vae = part(folder, "vae");
  m.unet_config = inkstone::unet_config(config_of(unet), (unet / "config.json").string());
  INKSTONE_CHECK(!index.xl || m.unet_config.added, source, ": the pipeline is a ",
                 json_text(index.object.at("_class_name")), ", and ", (unet / "config.json").string(),
                 " is no U-Net of SDXL's (it has no addition_embed_type)");
  m.vae_config = inkstone::vae_config(config_of(vae), (vae / "config.json").string());
  m.zeros_for_no_negative = index.xl && has_zeros(index.object);
  set_traits(opening, index);
  return opening;
}

}  // namespace

Pipeline Pipeline::describe(const fs::path& folder, Json document, const std::string& source) {
  Opening opening = opening_of(folder, std::move(document), source);
  opening.role = Opening::Role::kAny;
  opening.pipeline.takes_score = is_told_a_score(opening.pipeline);
  check_fit(opening);
  set_sizes(opening.pipeline);
  return std::move(opening.pipeline);
}

Opening open_folder(const fs::path& folder) {
  const fs::path index = folder / "model_index.json";
  return opening_of(folder, read_json(index, kMaxConfigBytes), index.string());
}

}  // namespace inkstone
