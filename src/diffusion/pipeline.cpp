#include "diffusion/pipeline.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "diffusion/request_fields.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

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

// A component of the model's folder, bound to the weights that its graphs read.
Component open_component(const fs::path& model, const char* name, const char* kind,
                         std::initializer_list<Graph> graphs) {
  std::vector<WeightSpec> specs;
  for (const Graph& graph : graphs)
    for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  Component component{name, kind, Weights::open(model / name)};
  component.weights.bind(specs);
  for (const WeightSpec& spec : specs) component.parameters += count(spec.shape);
  component.stored = component.weights.type();
  component.file_bytes = component.weights.total_bytes();
  return component;
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
  const ImageRequest defaults = generation_defaults(m.folder / "generation_config.json");
  traits.steps = defaults.steps.value_or(traits.steps);
  traits.guidance_scale = defaults.guidance_scale.value_or(traits.guidance_scale);
  traits.width = m.unet_config.sample_width * m.vae_scale();
  traits.height = m.unet_config.sample_height * m.vae_scale();
  traits.size_multiple = m.vae_scale() << (m.unet_config.channels.size() - 1);
  traits.distilled = m.unet_config.guidance_channels > 0;
  read_scheduler(traits, m.folder, index);
  return traits;
}

// Each component is right by itself; the file that is named is the one that fits no other.
void check_fit(const Pipeline& m) {
  const auto file = [&](const char* component, const char* name = "config.json") {
    return (m.folder / component / name).string();
  };
  const UnetConfig& unet = m.unet_config;
  INKSTONE_CHECK(!unet.added, file("unet"),
                 ": the U-Net is SDXL's (addition_embed_type); two text encoders are not supported yet");
  INKSTONE_CHECK(unet.in_channels == unet.out_channels, file("unet"), ": the U-Net takes ", unet.in_channels,
                 " channels (in_channels) and gives ", unet.out_channels,
                 " (inpainting and depth models are not supported)");
  INKSTONE_CHECK(m.vae_config.latent == unet.out_channels, file("vae"), ": the VAE has ", m.vae_config.latent,
                 " latent channels (latent_channels), the U-Net ", unet.out_channels, " (out_channels in ",
                 file("unet"), ")");
  INKSTONE_CHECK(m.clip_config.width == unet.context, file("text_encoder"), ": the text encoder is ",
                 m.clip_config.width, " wide (hidden_size), the U-Net takes ", unet.context,
                 " (cross_attention_dim in ", file("unet"), ")");
  INKSTONE_CHECK(m.tokenizer->max_length() == m.clip_config.tokens, file("tokenizer", "tokenizer_config.json"),
                 ": the tokenizer gives ", m.tokenizer->max_length(),
                 " tokens (model_max_length), the text encoder takes ", m.clip_config.tokens,
                 " (max_position_embeddings in ", file("text_encoder"), ")");
  INKSTONE_CHECK(m.tokenizer->vocabulary() <= m.clip_config.vocabulary, file("text_encoder"), ": the text encoder has ",
                 m.clip_config.vocabulary, " tokens (vocab_size), the tokenizer in ", (m.folder / "tokenizer").string(),
                 " ", m.tokenizer->vocabulary());
}

}  // namespace

void Pipeline::check_index(const Json& index, const std::string& source) { index_of(index, source); }

Pipeline Pipeline::describe(const fs::path& folder, Json document, const std::string& source) {
  INKSTONE_CHECK(fs::is_directory(folder), folder.string(), ": no such folder");
  Pipeline m;
  m.folder = folder;
  const JsonObject index = index_of(std::move(document), source);
  const fs::path text = part(folder, "text_encoder"), unet = part(folder, "unet"), vae = part(folder, "vae");
  m.clip_config = inkstone::clip_config(config_of(text), (text / "config.json").string());
  m.unet_config = inkstone::unet_config(config_of(unet), (unet / "config.json").string());
  m.vae_config = inkstone::vae_config(config_of(vae), (vae / "config.json").string());
  m.traits = traits_of(m, index);
  m.tokenizer = std::make_unique<Tokenizer>(Tokenizer::open(part(folder, "tokenizer")));
  check_fit(m);
  return m;
}

Pipeline Pipeline::open(const fs::path& folder) {
  const fs::path index = folder / "model_index.json";
  INKSTONE_CHECK(fs::is_directory(folder), folder.string(), ": no such folder");
  Pipeline m = describe(folder, read_json(index, kMaxConfigBytes), index.string());
  const int64_t side = int64_t{1} << (m.unet_config.channels.size() - 1), scale = m.vae_scale();
  m.components.push_back(open_component(folder, "text_encoder", "CLIPTextModel", {clip_graph(m.clip_config, 1)}));
  m.components.push_back(
      open_component(folder, "unet", "UNet2DConditionModel", {unet_graph(m.unet_config, {1, side, side})}));
  m.components.push_back(
      open_component(folder, "vae", "AutoencoderKL",
                     {vae_decoder_graph(m.vae_config, 1, 1, 1), vae_encoder_graph(m.vae_config, 1, scale, scale)}));
  return m;
}

const Component& Pipeline::component(std::string_view name) const {
  const auto found = std::ranges::find(components, name, &Component::name);
  INKSTONE_CHECK(found != components.end(), folder.string(), ": this model has no component \"", name, "\"");
  return *found;
}

int Pipeline::vae_scale() const { return inkstone::vae_scale(vae_config); }

std::string Pipeline::name() const {
  for (const fs::path& piece : folder)  // .../models--OWNER--NAME/snapshots/HASH
    if (const std::string text = piece.string(); text.starts_with("models--")) {
      std::string id = text.substr(8);
      if (const size_t at = id.find("--"); at != std::string::npos) id.replace(at, 2, "/");
      return id;
    }
  const fs::path clean = fs::weakly_canonical(folder);
  return clean == fs::weakly_canonical(folder.parent_path() / "model") && clean.filename() == "model"
             ? clean.parent_path().filename().string()
             : clean.filename().string();
}

fs::path demo_model() {
  std::error_code none;
  const fs::path program = fs::read_symlink("/proc/self/exe", none).parent_path();
  const fs::path places[] = {program / "demo" / "model", program / ".." / "demo" / "model",
                             program / ".." / "share" / "inkstone" / "demo" / "model",
                             fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model"};
  for (const fs::path& place : places)
    if (fs::is_directory(place, none)) return fs::weakly_canonical(place);
  fail(INKSTONE_HERE,
       {"the demo model is not beside the program (", places[0].string(), "): give a model with --model"});
}

}  // namespace inkstone
