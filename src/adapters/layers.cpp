#include "adapters/layers.h"

#include <algorithm>
#include <set>
#include <utility>

namespace inkstone {
namespace {

// What may stand before a layer's path, dots as underscores.
constexpr std::string_view kUnet[] = {"",
                                      "unet_",
                                      "lora_unet_",
                                      "lycoris_",
                                      "lycoris_unet_",
                                      "base_model_model_",
                                      "base_model_model_unet_",
                                      "unet_base_model_model_",
                                      "diffusion_model_",
                                      "model_diffusion_model_"};
constexpr std::string_view kText[] = {"",
                                      "text_encoder_",
                                      "lora_te_",
                                      "lora_te1_",
                                      "lycoris_",
                                      "lycoris_te_",
                                      "lycoris_te1_",
                                      "base_model_model_",
                                      "base_model_model_text_encoder_",
                                      "text_encoder_base_model_model_",
                                      "text_encoders_clip_l_transformer_",
                                      "clip_l_transformer_",
                                      "cond_stage_model_transformer_",
                                      "conditioner_embedders_0_transformer_"};
constexpr std::string_view kText2[] = {"text_encoder_2_",
                                       "lora_te2_",
                                       "lycoris_te2_",
                                       "base_model_model_text_encoder_2_",
                                       "text_encoder_2_base_model_model_",
                                       "text_encoders_clip_g_transformer_",
                                       "clip_g_transformer_"};

std::span<const std::string_view> prefixes(const std::string& component) {
  if (component == "text_encoder") return kText;
  if (component == "text_encoder_2") return kText2;
  return kUnet;
}

std::string without_end(const std::string& name, std::string_view end) {
  return name.ends_with(end) ? name.substr(0, name.size() - end.size()) : "";
}

// Before PEFT, diffusers kept an attention's adapters together: "attn1.processor.to_q_lora" is of
// "attn1.to_q", and in a text encoder "self_attn.to_q_lora" of "self_attn.q_proj".
std::string old_name(const std::string& path, bool text) {
  constexpr std::pair<std::string_view, std::string_view> kOfUnet[] = {{".to_q", ".processor.to_q_lora"},
                                                                       {".to_k", ".processor.to_k_lora"},
                                                                       {".to_v", ".processor.to_v_lora"},
                                                                       {".to_out.0", ".processor.to_out_lora"}};
  constexpr std::pair<std::string_view, std::string_view> kOfText[] = {
      {".q_proj", ".to_q_lora"}, {".k_proj", ".to_k_lora"}, {".v_proj", ".to_v_lora"}, {".out_proj", ".to_out_lora"}};
  for (const auto& [now, before] : text ? kOfText : kOfUnet)
    if (const std::string parent = without_end(path, now); !parent.empty()) return parent + std::string(before);
  return "";
}

}  // namespace

std::string flat(std::string_view stem) {
  std::string name(stem);
  std::ranges::replace(name, '.', '_');
  return name;
}

bool names_text_encoder(std::string_view stem) {
  const std::string name = flat(stem);
  for (const std::string_view start : {"lora_te_", "lora_te1_", "lora_te2_", "lora_te3_", "lycoris_te", "text_model_",
                                       "text_encoder_", "text_encoders_", "clip_g_", "clip_l_"})
    if (name.starts_with(start)) return true;
  return false;
}

LayerNames::LayerNames(const std::vector<AdapterTarget>& targets) {
  for (size_t number = 0; number < targets.size(); ++number) add_target(number, targets[number]);
}

void LayerNames::add_target(size_t number, const AdapterTarget& target) {
  for (const WeightSpec& spec : target.weights->specs()) add_weight(target, spec.name, {number, ""});
  for (const std::string& weight : target.unread) add_weight(target, weight, {number, "", false, true});
}

void LayerNames::add_weight(const AdapterTarget& target, const std::string& weight, Layer layer) {
  constexpr std::string_view kTextModel = "text_model.";
  std::string_view end = ".weight";
  if (!weight.ends_with(end)) end = ".bias";
  const std::string path = layer.path = without_end(weight, end);
  if (path.empty()) return;
  add(target, path, layer);
  if (const std::string old = old_name(path, target.is_text()); !old.empty()) add(target, old, layer);
  if (target.is_text() && path.starts_with(kTextModel)) add(target, path.substr(kTextModel.size()), layer);
  if (!target.ldm_name) return;
  layer.ldm = true;
  add(target, without_end(target.ldm_name(weight), end), layer);
}

// Of two layers under one name the first counts: a bare name is of the first text encoder.
void LayerNames::add(const AdapterTarget& target, const std::string& name, const Layer& layer) {
  for (const std::string_view prefix : prefixes(target.name)) layers_.emplace(flat(std::string(prefix) + name), layer);
}

const Layer* LayerNames::find(std::string_view stem) const {
  const auto found = layers_.find(flat(stem));
  return found == layers_.end() ? nullptr : &found->second;
}

}  // namespace inkstone
