#include "models/config_json.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"
#include "ir/print.h"

namespace inkstone {
namespace {

JsonArray list(const std::vector<int>& numbers) { return JsonArray(numbers.begin(), numbers.end()); }

// One number for equal ones, as published files have it.
Json short_list(const std::vector<int>& numbers) {
  const bool equal = std::ranges::all_of(numbers, [&](int number) { return number == numbers.front(); });
  return equal && !numbers.empty() ? Json(numbers.front()) : Json(list(numbers));
}

JsonArray block_types(const std::vector<LayerDepths>& depth, const char* plain, const char* cross) {
  JsonArray types;
  for (const LayerDepths& blocks : depth) types.emplace_back(blocks.any() ? cross : plain);
  return types;
}

// A level's transformer blocks: one number where its layers are alike, and where it has none.
Json depth_json(const LayerDepths& depth, int layers) {
  std::vector<int> each;
  for (int layer = 0; layer < layers; ++layer) each.push_back(depth.any() ? depth.at(layer) : 1);
  return short_list(each);
}

// Both paths' depths, where the up path's are not the down path's turned round. The last level's number is the
// middle's, too.
void add_depth(JsonObject& json, const UnetConfig& c) {
  const size_t levels = c.channels.size();
  JsonArray down, up;
  bool mirrored = true, alike = true;
  for (size_t i = 0; i < levels; ++i) {
    const LayerDepths &own = c.depth[i], &other = c.up_depth[levels - 1 - i];
    down.push_back(own.any() || i + 1 < levels || !c.mid_depth ? depth_json(own, c.blocks[i]) : Json(c.mid_depth));
    up.push_back(depth_json(c.up_depth[i], c.blocks[levels - 1 - i] + 1));
    mirrored = mirrored && (!other.any() || down.back() == depth_json(other, c.blocks[i] + 1));
    alike = alike && down.back() == down.front() && down.back().is_int64();
  }
  json["transformer_layers_per_block"] = alike ? down.front() : Json(down);
  if (!mirrored) json["reverse_transformer_layers_per_block"] = up;
  if (c.middle && !c.mid_depth) json["mid_block_type"] = "UNetMidBlock2D";
}

}  // namespace

JsonObject unet_json(const UnetConfig& c) {
  JsonObject json{{"_class_name", "UNet2DConditionModel"},
                  {"act_fn", name_of(c.activation)},
                  {"attention_head_dim", short_list(c.heads)},
                  {"block_out_channels", list(c.channels)},
                  {"cross_attention_dim", c.context},
                  {"down_block_types", block_types(c.depth, "DownBlock2D", "CrossAttnDownBlock2D")},
                  {"flip_sin_to_cos", c.flip_sin_to_cos},
                  {"freq_shift", shortest(c.freq_shift)},
                  {"in_channels", c.in_channels},
                  {"layers_per_block", short_list(c.blocks)},
                  {"mid_block_type", c.middle ? Json("UNetMidBlock2DCrossAttn") : Json()},
                  {"norm_eps", shortest(c.epsilon)},
                  {"norm_num_groups", c.groups},
                  {"out_channels", c.out_channels},
                  {"sample_size", c.sample_height == c.sample_width ? Json(c.sample_width)
                                                                    : Json(JsonArray{c.sample_height, c.sample_width})},
                  {"time_cond_proj_dim", c.guidance_channels ? Json(c.guidance_channels) : Json()},
                  {"up_block_types", block_types(c.up_depth, "UpBlock2D", "CrossAttnUpBlock2D")},
                  {"use_linear_projection", c.linear_projection}};
  if (c.freq_shift == 0) json["freq_shift"] = 0;
  add_depth(json, c);
  if (c.added) {
    json["addition_embed_type"] = "text_time";
    json["addition_time_embed_dim"] = c.added_time;
    json["projection_class_embeddings_input_dim"] = c.added;
  }
  constexpr const char* kSource = "the U-Net's configuration";
  INKSTONE_CHECK(unet_config(Json(json), kSource) == c, kSource, " is one that no config.json of diffusers can say");
  return json;
}

const char* vae_class(const VaeConfig& c) { return c.tiny ? "AutoencoderTiny" : "AutoencoderKL"; }

namespace {

JsonObject tiny_vae_json(const VaeConfig& c) {
  return {{"_class_name", vae_class(c)},
          {"act_fn", name_of(c.activation)},
          {"block_out_channels", list(c.channels)},
          {"decoder_block_out_channels", list(c.channels)},
          {"encoder_block_out_channels", list(c.channels)},
          {"force_upcast", false},
          {"in_channels", c.in_channels},
          {"latent_channels", c.latent},
          {"latent_magnitude", 3},
          {"latent_shift", 0.5},
          {"num_decoder_blocks", list(c.tiny->decoder)},
          {"num_encoder_blocks", list(c.tiny->encoder)},
          {"out_channels", c.out_channels},
          {"scaling_factor", shortest(c.scaling_factor)},
          {"shift_factor", shortest(c.shift_factor)},
          {"upsample_fn", "nearest"},
          {"upsampling_scaling_factor", 2}};
}

}  // namespace

JsonObject vae_json(const VaeConfig& c) {
  if (c.tiny) return tiny_vae_json(c);
  const auto types = [&](const char* type) { return JsonArray(c.channels.size(), Json(type)); };
  return {{"_class_name", vae_class(c)},
          {"act_fn", name_of(c.activation)},
          {"block_out_channels", list(c.channels)},
          {"down_block_types", types("DownEncoderBlock2D")},
          {"force_upcast", c.force_upcast},
          {"in_channels", c.in_channels},
          {"latent_channels", c.latent},
          {"layers_per_block", c.blocks},
          {"mid_block_add_attention", c.mid_attention},
          {"norm_num_groups", c.groups},
          {"out_channels", c.out_channels},
          {"scaling_factor", shortest(c.scaling_factor)},
          {"shift_factor", c.shift_factor != 0 ? Json(shortest(c.shift_factor)) : Json()},
          {"up_block_types", types("UpDecoderBlock2D")},
          {"use_post_quant_conv", c.post_quant_conv},
          {"use_quant_conv", c.quant_conv}};
}

JsonObject clip_json(const ClipConfig& c) {
  // The ids of tokens are those that published files have; 2 stands for the end token in transformers, and for the
  // largest id of a prompt. CLIP's end token is the last of its vocabulary.
  return {{"architectures", JsonArray{c.projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"}},
          {"attention_dropout", 0.0},
          {"bos_token_id", 0},
          {"eos_token_id", c.end_is_largest ? 2 : c.vocabulary - 1},
          {"hidden_act", name_of(c.activation)},
          {"hidden_size", c.width},
          {"initializer_factor", 1.0},
          {"initializer_range", 0.02},
          {"intermediate_size", c.inner},
          {"layer_norm_eps", shortest(c.epsilon)},
          {"max_position_embeddings", c.tokens},
          {"model_type", "clip_text_model"},
          {"num_attention_heads", c.heads},
          {"num_hidden_layers", c.layers},
          {"pad_token_id", 1},
          {"projection_dim", c.projection ? c.projection : c.width},
          {"vocab_size", c.vocabulary}};
}

}  // namespace inkstone
