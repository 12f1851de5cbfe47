#include "convert/single_file.h"

#include <array>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/file_defaults.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/resolved_request.h"
#include "models/config_json.h"
#include "models/ldm_names.h"
#include "models/shape_config.h"

namespace inkstone {
namespace {

constexpr const char *kUnet = "model.diffusion_model.", *kVae = "first_stage_model.";

using Tensors = std::vector<TensorToWrite>;

std::string text_prefix(const WholeModel& model, size_t encoder) {
  const bool open_clip = model.is_open_clip(encoder);
  const std::string place =
      model.pipeline.unet_config.added ? "conditioner.embedders." + std::to_string(encoder) : "cond_stage_model";
  return place + (open_clip ? ".model." : ".transformer.");
}

// Queries, keys and values are rows of one matrix; the specs have them in another order.
void add_open_clip(Tensors& tensors, const WholeModel& model, size_t encoder, std::optional<DType> type) {
  const std::string prefix = text_prefix(model, encoder);
  const Weights& weights = model.weights.at(model.pipeline.text_encoders[encoder].component);
  std::map<std::string, std::array<TensorToWrite, 3>> joined;
  for (const WeightSpec& spec : weights.specs()) {
    const OpenClipName name = open_clip_name(spec.name);
    TensorToWrite tensor = tensor_to_write(prefix + name.name, weights, spec.name, type);
    if (name.transposed) tensor.view = transposed(std::move(tensor.view));
    if (name.third < 0)
      tensors.push_back(std::move(tensor));
    else
      joined[name.name][static_cast<size_t>(name.third)] = std::move(tensor);
  }
  for (auto& [name, thirds] : joined) {
    TensorToWrite& whole = thirds[0];
    Shape shape = whole.view.shape;
    shape[0] *= 3;
    whole.shape = std::move(shape);
    // Of three types the widest holds all values.
    if (!type)
      for (const TensorToWrite& third : thirds)
        if (third.view.type != whole.view.type) whole.type = DType::kF32;
    whole.more = {thirds[1].view, thirds[2].view};
    tensors.push_back(std::move(whole));
  }
}

// Readers of Stable Diffusion 2 leave out the last layer that a file has, and folders have not that layer: it is
// the one before it once more.
void add_unused_layer(Tensors& tensors, const WholeModel& model, size_t encoder) {
  const int layers = model.texts[encoder].layers;
  const std::string list = text_prefix(model, encoder) + "transformer.resblocks.";
  const std::string last = list + std::to_string(layers - 1) + ".", unused = list + std::to_string(layers) + ".";
  for (size_t i = 0, count = tensors.size(); i < count; ++i)
    if (tensors[i].name.starts_with(last)) {
      TensorToWrite again = tensors[i];
      again.name = unused + again.name.substr(last.size());
      tensors.push_back(std::move(again));
    }
}

void add_text_encoder(Tensors& tensors, const WholeModel& model, size_t encoder, std::optional<DType> type) {
  if (model.is_open_clip(encoder)) {
    add_open_clip(tensors, model, encoder, type);
    if (!model.pipeline.unet_config.added) add_unused_layer(tensors, model, encoder);
    return;
  }
  const Weights& weights = model.weights.at(model.pipeline.text_encoders[encoder].component);
  for (const WeightSpec& spec : weights.specs())
    tensors.push_back(tensor_to_write(text_prefix(model, encoder) + spec.name, weights, spec.name, type));
}

void add_unet(Tensors& tensors, const WholeModel& model, std::optional<DType> type) {
  const Weights& weights = model.weights.at("unet");
  for (const WeightSpec& spec : weights.specs())
    tensors.push_back(
        tensor_to_write(kUnet + ldm_unet_name(spec.name, model.pipeline.unet_config), weights, spec.name, type));
}

// Its attention's matrices are convolutions of 1x1 there.
void add_vae(Tensors& tensors, const WholeModel& model, std::optional<DType> type) {
  INKSTONE_CHECK_USAGE(!model.pipeline.vae_config.tiny, model.pipeline.path.string(),
                       ": its VAE is a tiny one (TAESD), which no program reads from a single file of a model: write a "
                       "folder, or leave --vae to those who generate");
  const Weights& weights = model.weights.at("vae");
  for (const WeightSpec& spec : weights.specs()) {
    TensorToWrite tensor =
        tensor_to_write(kVae + ldm_vae_name(spec.name, model.pipeline.vae_config), weights, spec.name, type);
    if (tensor.name.find(".attn_1.") != std::string::npos && spec.shape.size() == 2) {
      tensor.shape = Shape{spec.shape[0], spec.shape[1], 1, 1};
    }
    tensors.push_back(std::move(tensor));
  }
}

// Whether what a reader of the file makes of its shapes is the model's configuration.
void check_told(const JsonObject& own, const JsonObject& told, const char* network, const std::string& source) {
  for (const auto& [key, value] : own) {
    const Json* other = told.if_contains(key);
    INKSTONE_CHECK(other && *other == value, source, ": ", network, " has \"", std::string(key),
                   "\": ", json_text(value),
                   " in its configuration, which no single file can say (it would be read as ",
                   other ? json_text(*other) : "absent", "): the model can only be a folder");
  }
}

void check_configs(const WholeModel& model, const std::map<std::string, Shape>& shapes) {
  const Pipeline& m = model.pipeline;
  const std::string source = m.path.string();
  const ShapeOf shape_of = [&](const std::string& name) -> const Shape* {
    const auto found = shapes.find(name);
    return found == shapes.end() ? nullptr : &found->second;
  };
  UnetConfig unet = unet_config_of(
      shape_of, [](const std::string& name, const UnetConfig& so_far) { return kUnet + ldm_unet_name(name, so_far); },
      source);
  unet.sample_height = m.unet_config.sample_height;
  unet.sample_width = m.unet_config.sample_width;
  check_told(unet_json(m.unet_config), unet_json(unet), "the U-Net", source);
  VaeConfig vae = vae_config_of(
      shape_of, [](const std::string& name) { return kVae + ldm_vae_name(name, {}); }, source);
  if (m.unet_config.added) vae.scaling_factor = kScalingOfXl;
  vae.force_upcast = m.vae_config.force_upcast;  // advice for fp16
  check_told(vae_json(m.vae_config), vae_json(vae), "the VAE", source);
  for (size_t i = 0; i < model.texts.size(); ++i) {
    const bool open_clip = model.is_open_clip(i);
    ClipConfig text = clip_config_of(
        shape_of,
        [&](const std::string& name) { return text_prefix(model, i) + (open_clip ? open_clip_name(name).name : name); },
        source);
    text.projection = model.texts[i].projection;
    if (open_clip) text.activation = Activation::kGelu;
    if (open_clip && !m.unet_config.added) --text.layers;  // the unused one
    check_told(clip_json(model.texts[i]), clip_json(text), "a text encoder", source);
  }
}

void check_tokenizer(const Tokenizer& own, bool open_clip, const std::string& source) {
  const Tokenizer clip = Tokenizer::from_merges(clip_files().front().bytes, open_clip ? "!" : "");
  constexpr const char* kText = "a photo of 3 foxes, na\xc3\xafve! (very) detailed;";
  INKSTONE_CHECK(own.vocabulary() == clip.vocabulary() && own.encode(kText).ids == clip.encode(kText).ids, source,
                 ": a tokenizer of ", own.vocabulary(), " tokens is not CLIP's of ", clip.vocabulary(),
                 ", which every single file is read with: the model can only be a folder");
}

// Other programs know by these what an SDXL model predicts.
void add_markers(Tensors& tensors, const WholeModel& model) {
  const SchedulerConfig scheduler = scheduler_config(model.pipeline.traits);
  if (scheduler.prediction != PredictionType::kVPrediction || !model.pipeline.unet_config.added) return;
  tensors.push_back({"v_pred", {"v_pred", {0}, DType::kF32, {}}});
  if (scheduler.rescale_betas_zero_snr) tensors.push_back({"ztsnr", {"ztsnr", {0}, DType::kF32, {}}});
}

}  // namespace

SingleFile single_file_of(const WholeModel& model, std::optional<DType> type) {
  SingleFile file;
  add_unet(file.tensors, model, type);
  add_vae(file.tensors, model, type);
  for (size_t i = 0; i < model.texts.size(); ++i) {
    check_tokenizer(*model.pipeline.text_encoders[i].tokenizer, model.is_open_clip(i), model.pipeline.path.string());
    add_text_encoder(file.tensors, model, i, type);
  }
  add_markers(file.tensors, model);
  std::map<std::string, Shape> shapes;
  for (const TensorToWrite& tensor : file.tensors) shapes[tensor.name] = shape_of(tensor);
  check_configs(model, shapes);
  file.metadata = file_defaults(model.pipeline);
  return file;
}

}  // namespace inkstone
